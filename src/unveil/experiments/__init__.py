"""Grids of runs: recipes or rows of a paper's table, times seeds, resumable; robustness; the demo."""
