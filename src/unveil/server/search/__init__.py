"""From what a client sends to a query, and the searches that are held for their callers."""
