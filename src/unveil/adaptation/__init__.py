"""Adaptation of a trained model to crops that nobody labelled."""
