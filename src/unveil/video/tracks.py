"""Boxes become tracks: by where a person is expected, how tall, and in which colours; who crosses stays who it is.

Two rounds a frame as in ByteTrack (Zhang et al., ECCV 2022, arXiv:2110.06864): sure boxes first, then weak ones, which
may only continue a track. Pairs are chosen together by the Hungarian method. At six frames per second the boxes of a
walker hardly overlap, so places are compared by distance in body heights, not by overlap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from unveil.errors import MissingExtraError
from unveil.video.appearance import Look, apart, look_of
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.records import Box, Frame, Tracked

KEEP_LOST = 2.0  # seconds that a track waits for its person to come back into sight
KEEP_NEW = 0.5  # the same for a track of fewer than `SETTLED` boxes
SETTLED = 3
WEAK_LOST = 0.5  # seconds after which a weak box no longer continues a track
COAST = 1.0  # seconds for which a lost person is expected to walk on
FREE, SPEED = 0.3, 0.5  # body heights from the expected place, at once and for each second that passed
HEIGHT, HEIGHT_LOST = 0.3, 0.1  # change of the logarithm of the height, at once and for each second (of two at most)
COLOURS = 20.0  # difference of looks that counts as much as a body height
MAX_COLOURS = 32.0
COLOUR_WEIGHT = 1.5
MAX_COST = 1.5
PACE, TALL, LOOK = 0.5, 0.5, 0.2  # how fast speed, height and look of a track follow its boxes
NEVER = 1e6


@dataclass(eq=False)
class _Track:
    """One person that is followed: centre and speed in pixels (per second), height, look, timestamp of the last box."""

    name: int
    x: float
    y: float
    height: float
    look: Look
    time: float
    speed: tuple[float, float] = (0.0, 0.0)
    boxes: int = 1

    def cost(self, box: Box, look: Look, *, time: float) -> float:
        """Return how little a box looks like the next one of this track; `NEVER` where it cannot be."""
        passed = time - self.time
        ahead = min(passed, COAST)
        x, y = box.x + box.w / 2, box.y + box.h / 2
        away = math.hypot(x - self.x - self.speed[0] * ahead, y - self.y - self.speed[1] * ahead) / self.height
        grown = abs(math.log(box.h / self.height))
        colours = apart(look, self.look)
        if grown > HEIGHT + HEIGHT_LOST * min(passed, 2) or away > FREE + SPEED * passed or colours > MAX_COLOURS:
            return NEVER
        cost = away + grown + COLOUR_WEIGHT * colours / COLOURS
        return cost if cost < MAX_COST else NEVER

    def take(self, box: Box, look: Look, *, time: float) -> None:
        """Continue with a box."""
        passed = max(time - self.time, 1e-3)
        x, y = box.x + box.w / 2, box.y + box.h / 2
        share = 1.0 if self.boxes == 1 else PACE
        now = (x - self.x) / passed, (y - self.y) / passed
        self.speed = (
            self.speed[0] + share * (now[0] - self.speed[0]),
            self.speed[1] + share * (now[1] - self.speed[1]),
        )
        self.x, self.y, self.time = x, y, time
        self.height += TALL * (box.h - self.height)
        self.look = self.look + LOOK * (look - self.look)
        self.boxes += 1

    @property
    def patience(self) -> float:
        """Seconds that it waits for its next box."""
        return KEEP_LOST if self.boxes >= SETTLED else KEEP_NEW


@dataclass(eq=False)
class Tracker:
    """Joins the boxes of frames into tracks, by the frames' own times.

    Args:
        high: boxes with at least this score may begin a track; lower ones only continue one.

    Raises:
        MissingExtraError: SciPy is not installed.
    """

    high: float
    _tracks: list[_Track] = field(default_factory=list)
    _names: int = 0

    def __post_init__(self) -> None:
        try:
            from scipy.optimize import linear_sum_assignment
        except ImportError:
            raise MissingExtraError("tracking people in a video", "video") from None
        self._assign = linear_sum_assignment

    def update(self, frame: Frame, boxes: Sequence[Box]) -> list[Tracked]:
        """Return the boxes of a frame that belong to a track; a new person has one from the second frame on."""
        self._tracks = [t for t in self._tracks if frame.time - t.time <= t.patience]
        looks = [look_of(frame.image, box) for box in boxes]
        seen = [(box, look) for box, look in zip(boxes, looks, strict=True) if look is not None]
        sure = [pair for pair in seen if pair[0].score >= self.high]
        found, rest, new = self._pairs(self._tracks, sure, time=frame.time)
        weak = [pair for pair in seen if pair[0].score < self.high]
        late = [t for t in rest if frame.time - t.time <= WEAK_LOST]
        found += self._pairs(late, weak, time=frame.time)[0]
        for box, look in new:
            track = _Track(self._names, box.x + box.w / 2, box.y + box.h / 2, box.h, look, frame.time)
            self._tracks.append(track)
            self._names += 1
        return [Tracked(str(track.name), box) for track, box in found]

    def _pairs(
        self, tracks: Sequence[_Track], boxes: Sequence[tuple[Box, Look]], *, time: float
    ) -> tuple[list[tuple[_Track, Box]], list[_Track], list[tuple[Box, Look]]]:
        """Continue tracks with boxes; return the pairs, and the tracks and boxes that are left."""
        if not tracks or not boxes:
            return [], list(tracks), list(boxes)
        costs = np.array([[track.cost(box, look, time=time) for box, look in boxes] for track in tracks])
        rows, columns = self._assign(costs)
        pairs = [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if costs[r, c] < NEVER]
        for row, column in pairs:
            tracks[row].take(*boxes[column], time=time)
        taken, used = {row for row, _ in pairs}, {column for _, column in pairs}
        return (
            [(tracks[row], boxes[column][0]) for row, column in pairs],
            [track for row, track in enumerate(tracks) if row not in taken],
            [pair for column, pair in enumerate(boxes) if column not in used],
        )

    @property
    def alive(self) -> set[str]:
        """Tracks that may still continue."""
        return {str(track.name) for track in self._tracks}

    @property
    def idle(self) -> bool:
        """Whether no track is open, not even one of a single box: what comes next depends on nothing before."""
        return not self._tracks


class GivenTracks:
    """Tracks that a file of boxes names: a track is over after some seconds without a box."""

    def __init__(self, given: GivenBoxes) -> None:
        self._given = given
        self._seen: dict[str, float] = {}

    def update(self, frame: Frame, boxes: Sequence[Box]) -> list[Tracked]:
        """Return the boxes of a frame with the file's tracks."""
        names = [str(name) for name in self._given.tracks(frame.number)]
        self._seen |= dict.fromkeys(names, frame.time)
        self._seen = {name: time for name, time in self._seen.items() if frame.time - time <= KEEP_LOST}
        return [Tracked(name, box) for name, box in zip(names, boxes, strict=True)]

    @property
    def alive(self) -> set[str]:
        """Tracks that may still continue."""
        return set(self._seen)

    @property
    def idle(self) -> bool:
        """Whether no track is open."""
        return not self._seen
