"""Commands of the synthetic world."""
