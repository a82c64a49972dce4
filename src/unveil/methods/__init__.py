"""Methods, one a file."""
