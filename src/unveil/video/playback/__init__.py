"""Single frames and short clips of videos, by where they are in the video."""
