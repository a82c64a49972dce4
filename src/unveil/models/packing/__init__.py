"""Small files of a trained model, to ship it."""
