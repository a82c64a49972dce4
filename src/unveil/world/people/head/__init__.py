"""Hair, and the skull that it lies on."""
