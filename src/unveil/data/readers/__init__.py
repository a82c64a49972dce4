"""Readers of datasets, one file a benchmark."""
