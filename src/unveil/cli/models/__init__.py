"""Commands that train, evaluate, compare and export models."""
