"""The public Python interface, re-exported by ``unveil`` itself: models, embeddings, evaluation, search, galleries."""
