"""From a video to tracklets of people: decoding, detection, tracking."""
