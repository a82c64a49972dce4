"""Rows of galleries and their vectors, between records and SQL."""
