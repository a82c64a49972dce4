"""``unveil case``: one command a function."""
