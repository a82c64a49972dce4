"""The images and videos that the rows of a gallery came from, where they are still there."""
