"""What leaves a gallery: reports, timelines, listings, heat maps, blurred faces."""
