"""People from images and videos into a gallery: crops, tracklets, their quality and their best crops."""
