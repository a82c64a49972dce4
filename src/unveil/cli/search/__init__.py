"""The search command, in files of embeddings and in galleries."""
