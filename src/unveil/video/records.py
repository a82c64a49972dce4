"""What a video gives: frames with their timestamp, boxes around people, and the tracks that boxes form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Box(NamedTuple):
    """A person in a frame: left edge, top edge, width and height in pixels, and the detector's score in [0, 1]."""

    x: float
    y: float
    w: float
    h: float
    score: float = 1.0

    def whole(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return x, y, width, height in whole pixels inside a frame of that size; ``None`` when nothing is left."""
        left, top = max(0, round(self.x)), max(0, round(self.y))
        right, bottom = min(width, round(self.x + self.w)), min(height, round(self.y + self.h))
        return (left, top, right - left, bottom - top) if right > left and bottom > top else None


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One frame of a video.

    Args:
        number: from 0, in order of presentation; frames that cannot be read count too.
        time: seconds since the first frame, from the container.
        image: ``(H, W, 3)`` uint8 RGB.
        part: how often a live stream broke and was opened again before it.
    """

    number: int
    time: float
    image: Image
    part: int = 0


class Tracked(NamedTuple):
    """A box and the name of the track that it belongs to."""

    track: str
    box: Box
