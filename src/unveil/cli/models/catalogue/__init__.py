"""Command group ``models``."""
