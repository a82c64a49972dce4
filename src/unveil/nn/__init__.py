"""Building blocks of networks, one a file."""
