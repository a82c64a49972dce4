"""A floor plan of a gallery: an image, where its cameras stand on it, and how long a metre is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from unveil.errors import DataError

LARGEST = 3_000  # pixels of the longest side of a plan as it is kept
MAX_IMAGE_BYTES = 8_000_000  # bytes of it
MAX_CAMERAS = 500
LONGEST_METRES = 1e6
Point = tuple[float, float]


@dataclass(frozen=True)
class PlanScale:
    """Two points of a plan, x and y in its pixels, and how many metres lie between them."""

    start: Point
    end: Point
    metres: float

    def __post_init__(self) -> None:
        if not 0 < self.metres <= LONGEST_METRES:
            raise DataError(f"a plan's scale is more than 0 and at most {LONGEST_METRES:,.0f} m, got {self.metres:g}")
        if math.dist(self.start, self.end) < 1:
            raise DataError("the two points of the scale are one: place them far apart")

    @property
    def metres_a_pixel(self) -> float:
        """How many metres one pixel is."""
        return self.metres / math.dist(self.start, self.end)


@dataclass(frozen=True)
class FloorPlan:
    """A plan without its image.

    Args:
        width: of the image, pixels.
        height: of the image, pixels.
        cameras: label -> where it stands, x and y in pixels.
        scale: how long a metre is; ``None`` where nobody said.
        version: grows with every change, to be named when it is changed again.
        who: changed it last.
        changed: when, seconds since the epoch.
    """

    width: int
    height: int
    cameras: Mapping[str, Point] = field(default_factory=dict)
    scale: PlanScale | None = None
    version: int = 1
    who: str = ""
    changed: float = 0.0

    def __post_init__(self) -> None:
        if len(self.cameras) > MAX_CAMERAS:
            raise DataError(f"a plan has at most {MAX_CAMERAS} cameras, got {len(self.cameras)}")
        points = {f"camera {name!r}": point for name, point in self.cameras.items()}
        if self.scale is not None:
            points |= {"the scale's first point": self.scale.start, "the scale's second point": self.scale.end}
        for what, (x, y) in points.items():
            if not (0 <= x <= self.width and 0 <= y <= self.height):
                raise DataError(f"{what} stands outside the plan of {self.width}×{self.height} pixels: at {x:g}, {y:g}")

    @property
    def distances(self) -> dict[frozenset[str], float]:
        """Metres between pairs of cameras as the crow flies: no way is shorter. Empty without a scale."""
        if self.scale is None:
            return {}
        factor = self.scale.metres_a_pixel
        pairs = combinations(self.cameras.items(), 2)
        return {frozenset((one, other)): factor * math.dist(a, b) for (one, a), (other, b) in pairs}
