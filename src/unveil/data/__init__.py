"""From files to batches: dataset readers, the image store, samplers and batch augmentations."""
