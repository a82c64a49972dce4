"""Attention over places and channels of a map, one a file."""
