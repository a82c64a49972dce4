"""Synthetic people with exact truth, rendered on the user's machine: the embedded default dataset of every command."""
