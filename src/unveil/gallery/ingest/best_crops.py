"""The few crops of a track that are kept: of high quality, from all over its time, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.ingest.quality import framing_quality, image_quality
from unveil.video.appearance import Look, look_of
from unveil.video.records import Box, Frame, Image

POOL = 2  # crops in memory for each one that is kept in the end
LAST_SECONDS = 2.0  # of a track, whose best crop is in memory whatever its quality
POOR = 0.4  # of the best crop's quality score: below it a crop is not kept
NEARLY = 0.8  # of the best crop of its part of the time: above it a crop may be kept for its view


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A crop of a track: frame number, seconds, x, y, width, height in the frame, pixels, quality score in [0, 1]."""

    frame: int
    time: float
    box: tuple[int, int, int, int]
    image: Image
    quality: float


class TrackPoint(NamedTuple):
    """Where a track was at one time: frame number, seconds, x, y, width, height in the frame, and how it looked."""

    frame: int
    time: float
    box: tuple[int, int, int, int]
    look: Look


@dataclass(eq=False)
class OpenTrack:
    """A track that may still continue.

    Args:
        limit: crops that are kept of it in the end.
        remembers: its boxes and looks are kept, so that it can be split and joined; they grow with its length.
        boxes: how many boxes it has had.
        first: its first frame and box: its name, for good.
        begin: its first timestamp, seconds.
        end: its last timestamp.
        steps: its boxes, by time, where they are kept.
        pool: the best crops so far, by time.
        reasons: why other tracks were joined to it, in words.
    """

    limit: int
    remembers: bool = True
    boxes: int = 0
    first: tuple[int, tuple[int, int, int, int]] | None = None
    begin: float = 0.0
    end: float = 0.0
    steps: list[TrackPoint] = field(default_factory=list)
    pool: list[Candidate] = field(default_factory=list)
    reasons: tuple[str, ...] = ()

    def see(self, frame: Frame, box: Box, *, others: list[Box]) -> None:
        """Take in the box of one frame, with the other boxes of the frame."""
        height, width = frame.image.shape[:2]
        whole = box.whole(width, height)
        if whole is None:
            return
        if self.first is None:
            self.first, self.begin = (frame.number, whole), frame.time
        self.boxes += 1
        self.end = frame.time
        if self.remembers and (look := look_of(frame.image, box)) is not None:
            self.steps.append(TrackPoint(frame.number, frame.time, whole, look))
        x, y, w, h = whole
        image = frame.image[y : y + h, x : x + w]
        quality = image_quality(image) * framing_quality(whole, others, width=width, height=height)
        self.pool.append(Candidate(frame.number, frame.time, whole, shrunk(image).copy(), quality))
        if len(self.pool) > POOL * self.limit:
            self._thin()

    def part(self, first: int, last: int) -> OpenTrack:
        """Return the steps from ``first`` to before ``last`` as a track of their own, with the crops of that time."""
        pool = [c for c in self.pool if self.steps[first].time <= c.time <= self.steps[last - 1].time]
        return _of_steps(self, self.steps[first:last], pool=pool, reasons=self.reasons)

    def followed_by(self, other: OpenTrack, reason: str) -> OpenTrack:
        """Return this track and a later one as one, and why."""
        reasons = (*self.reasons, reason, *other.reasons)
        joined = _of_steps(self, self.steps + other.steps, pool=self.pool + other.pool, reasons=reasons)
        while len(joined.pool) > POOL * self.limit:
            joined._thin()
        return joined

    def _thin(self) -> None:
        """Drop the worse of the two crops that are nearest in time; the best of the last seconds is none of them.

        It may be all that is there of another person to whom the track has gone over.
        """
        last = max((c for c in self.pool if c.time > self.pool[-1].time - LAST_SECONDS), key=lambda c: c.quality)
        others = pairwise(c for c in self.pool if c is not last)
        before, after = min(others, key=lambda pair: pair[1].time - pair[0].time)
        self.pool.remove(before if before.quality < after.quality else after)


def _of_steps(
    like: OpenTrack, steps: list[TrackPoint], *, pool: list[Candidate], reasons: tuple[str, ...]
) -> OpenTrack:
    return OpenTrack(
        like.limit,
        boxes=len(steps),
        first=(steps[0].frame, steps[0].box),
        begin=steps[0].time,
        end=steps[-1].time,
        steps=steps,
        pool=pool,
        reasons=reasons,
    )


def view_of(image: Image) -> NDArray[np.float32]:
    """Return what tells views of one person apart: colours of a coarse grid over a crop, ``(8, 4, 3)`` CIELAB.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
    """
    small = cv2.resize(image, (4 * 4, 8 * 4), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    return np.asarray(lab.reshape(8, 4, 4, 4, 3).mean(axis=(1, 3)), np.float32)


def best_rows(quality: list[float], limit: int, *, views: Sequence[NDArray[np.float32]] | None = None) -> list[int]:
    """Return which candidates of a track to keep: one of each of ``limit`` equal parts of its time.

    It is the best of its part or, with views, one that is nearly as good and least like those of the other parts: sides
    of a person that no other crop shows find crops that no other would. Crops of a far
    lower score than the best of all, occluded or blurred, are left out.

    Args:
        quality: score of each candidate, by time.
        limit: how many at most.
        views: of each, as `view_of` gives them.

    Returns:
        Numbers of candidates, ascending.
    """
    count = min(limit, len(quality))
    parts = [range(len(quality) * k // count, len(quality) * (k + 1) // count) for k in range(count)]
    taken: list[int] = []
    for part in sorted(parts, key=lambda rows: -max(quality[row] for row in rows)):
        best = max(part, key=quality.__getitem__)
        if quality[best] < POOR * max(quality):
            break
        if views is not None and taken:
            good = [row for row in part if quality[row] >= NEARLY * quality[best]]
            best = max(good, key=lambda row: quality[row] * min(_apart(views[row], views[other]) for other in taken))
        taken.append(best)
    return sorted(taken)


def _apart(view: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(view - other).mean())
