"""The few crops of a track that are worth keeping: good ones, from all over its time, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.ingest.quality import picture_worth, place_worth
from unveil.video.records import Box, Frame, Image

POOL = 2  # crops in memory for each one that is kept in the end
POOR = 0.4  # of the best crop's worth: what is worth less is not kept


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A crop of a track: frame number, seconds, x, y, width, height in the frame, pixels, worth in [0, 1]."""

    frame: int
    time: float
    box: tuple[int, int, int, int]
    image: Image
    worth: float


@dataclass(eq=False)
class OpenTrack:
    """A track that may still go on.

    Args:
        keep: crops that are kept of it in the end.
        boxes: how many boxes it has had.
        first: its first frame and box: its name, for good.
        begin: its first moment, seconds.
        end: its last moment.
        pool: the best crops so far, by time.
    """

    keep: int
    boxes: int = 0
    first: tuple[int, tuple[int, int, int, int]] | None = None
    begin: float = 0.0
    end: float = 0.0
    pool: list[Candidate] = field(default_factory=list)

    def see(self, frame: Frame, box: Box, others: list[Box]) -> None:
        """Take in the box of one frame, with the other boxes of the frame."""
        height, width = frame.image.shape[:2]
        whole = box.whole(width, height)
        if whole is None:
            return
        if self.first is None:
            self.first, self.begin = (frame.number, whole), frame.time
        self.boxes += 1
        self.end = frame.time
        x, y, w, h = whole
        image = frame.image[y : y + h, x : x + w]
        worth = picture_worth(image) * place_worth(whole, others, width, height)
        self.pool.append(Candidate(frame.number, frame.time, whole, shrunk(image).copy(), worth))
        if len(self.pool) > POOL * self.keep:
            self._thin()

    def _thin(self) -> None:
        """Drop the worse of the two crops that are nearest in time."""
        gaps = [b.time - a.time for a, b in pairwise(self.pool)]
        first = min(range(len(gaps)), key=gaps.__getitem__)
        worse = first if self.pool[first].worth < self.pool[first + 1].worth else first + 1
        del self.pool[worse]


def best_rows(worth: list[float], keep: int) -> list[int]:
    """Return which candidates of a track to keep: the best of each of ``keep`` equal parts, in order of time.

    What is worth far less than the best of all, a hidden or blurred sight, is left out.
    """
    parts = min(keep, len(worth))
    edges = [len(worth) * k // parts for k in range(parts + 1)] if parts else []
    best = [max(range(a, b), key=worth.__getitem__) for a, b in pairwise(edges)]
    return [row for row in best if worth[row] >= POOR * max(worth)]
