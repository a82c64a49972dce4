"""Rows of a gallery as probable people: what is known of pairs, and the clustering of the rest."""
