"""Methods that the others are compared with, one a file."""
