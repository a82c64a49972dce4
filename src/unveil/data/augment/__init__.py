"""Random changes of training batches, on image and parsing map together."""
