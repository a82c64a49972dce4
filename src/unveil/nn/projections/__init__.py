"""Linear maps of vectors that are found on vectors, not by gradient."""
