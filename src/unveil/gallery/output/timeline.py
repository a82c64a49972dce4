"""When and where somebody was seen: sightings in the order of time, and the ways from camera to camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from unveil.gallery.records import FIRST_DATE, Item
from unveil.gallery.search.searcher import Found, Hit

LAST_DATE = 2.5e11


@dataclass(frozen=True)
class Way:
    """A way from one camera to another.

    Args:
        start: camera that was left.
        end: camera that was reached.
        times: how often.
        fastest: shortest time between the two sightings, seconds.
    """

    start: str
    end: str
    times: int
    fastest: float


def sightings(found: Found) -> list[Hit]:
    """Return the hits whose time is known, by time: the matches of a calibrated search, else all."""
    near = [hit for hit in found.hits if found.threshold is None or hit.distance <= found.threshold]
    return sorted((hit for hit in near if hit.item.time is not None), key=lambda hit: (hit.item.time, hit.distance))


def ways(seen: Sequence[Hit]) -> list[Way]:
    """Return the ways between cameras that sightings in order of time imply, the commonest first."""
    gaps: dict[tuple[str, str], list[float]] = {}
    known = [hit.item for hit in seen if hit.item.camera is not None and hit.item.time is not None]
    for before, after in pairwise(known):
        if before.camera != after.camera:
            gaps.setdefault((before.camera or "", after.camera or ""), []).append(_gap(before, after))
    found = [Way(*pair, len(times), min(times)) for pair, times in gaps.items()]
    return sorted(found, key=lambda way: (-way.times, way.fastest, way.start, way.end))


def _gap(before: Item, after: Item) -> float:
    left = before.time if before.end is None else before.end
    assert left is not None and after.time is not None
    return max(0.0, after.time - left)


def moment(seconds: float | None) -> str:
    """Return a moment in words: a date where it is one (UTC), else time since the start of a recording."""
    if seconds is None:
        return ""
    if FIRST_DATE <= seconds < LAST_DATE:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return duration(seconds)


def duration(seconds: float) -> str:
    """Return a length of time as hours, minutes and seconds."""
    whole = int(abs(seconds))
    sign = "-" if seconds < 0 else ""
    text = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{sign}{whole // 3600}:{text}" if whole >= 3600 else f"{sign}{text}"
