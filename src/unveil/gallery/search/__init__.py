"""Answering a query: the vectors in memory, the query, the search."""
