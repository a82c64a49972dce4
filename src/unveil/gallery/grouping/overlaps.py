"""Who was seen together: tracklets that overlap in time at one camera are two people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """When and where a tracklet was: anything that names a camera and its clock, first and last second, its number."""

    place: Hashable
    start: float
    end: float
    number: int


def overlapping(spans: Iterable[Span]) -> np.ndarray:
    """Return the pairs of numbers whose spans overlap in time at one place.

    A span without length says nothing: images that were all given one time, or a date, were not seen at once for that.
    Nor do spans that only touch: with whole seconds one person's end and new beginning fall together.

    Returns:
        ``(M, 2)`` int64, the smaller number first, sorted.
    """
    by_place: dict[Hashable, list[tuple[float, float, int]]] = defaultdict(list)
    for span in spans:
        if span.end > span.start:
            by_place[span.place].append((span.start, span.end, span.number))
    pairs = []
    for found in by_place.values():
        active: list[tuple[float, int]] = []
        for start, end, number in sorted(found):
            active = [(last, other) for last, other in active if last > start]
            pairs += [(min(number, other), max(number, other)) for _, other in active]
            active.append((end, number))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
