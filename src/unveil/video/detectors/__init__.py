"""Detectors of people in frames: how each kind of model is read, and the detectors that need none."""
