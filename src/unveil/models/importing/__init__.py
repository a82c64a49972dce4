"""Checkpoints of other toolkits as models of this package."""
