"""Decoded crops in a memory-mapped file, so that training decodes each image once."""
