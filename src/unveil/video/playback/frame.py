"""One frame of a video, found by its number and by what was seen on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unveil.video.decode import Video
from unveil.video.playback.reading import frame_times, frames_between
from unveil.video.records import Frame, Image

AROUND = 0.6  # seconds on either side of where a frame should be


def find_frame(
    video: Video, number: int, *, difference: Callable[[Image], float], enough: float
) -> tuple[Frame, float] | None:
    """Return the frame of a video that looks most like what was seen on frame ``number``.

    At a constant rate the number tells the timestamp. Where what is found there looks different, the frames are
    counted.

    Args:
        video: an opened file.
        number: of the frame, from 0.
        difference: says how much a frame ``(H, W, 3)`` differs from what was seen; 0 is equal.
        enough: a difference up to which the first way is believed.

    Returns:
        The frame and its difference; ``None`` where there is none.

    Raises:
        DataError: it takes too long, or the frames are too large.
    """
    found = _best(video, number, timestamp=number / video.rate, difference=difference)
    if found is None or found[1] > enough:
        times = frame_times(video)
        if number < len(times):
            counted = _best(video, number, timestamp=times[number], difference=difference)
            found = min((f for f in (found, counted) if f is not None), key=lambda f: f[1], default=None)
    return found


def _best(
    video: Video, number: int, *, timestamp: float, difference: Callable[[Image], float]
) -> tuple[Frame, float] | None:
    best: tuple[Frame, float] | None = None
    for time, frame in frames_between(video, timestamp - AROUND, end=timestamp + AROUND):
        image: Any = video.pixels(frame)
        distance = difference(image)
        if best is None or distance < best[1]:
            best = Frame(number, time, image), distance
    return best
