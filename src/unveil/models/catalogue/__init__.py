"""Models and weights that others publish: where they are, and the only code of the package that fetches anything."""
