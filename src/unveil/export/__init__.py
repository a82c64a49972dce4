"""Trained models in other formats, held against the original, and run by whatever is fastest here."""
