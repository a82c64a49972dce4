"""A trained model: weights with their card and preprocessing, and what it does with a dataset (embed, evaluate)."""
