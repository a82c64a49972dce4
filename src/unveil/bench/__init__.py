"""Grids of runs: recipes or rows of a paper's table, times seeds, resumable, with their figures as CSV and tables."""
