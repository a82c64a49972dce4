"""When and where somebody was seen, how one person goes from camera to camera, and what cannot be one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from unveil.gallery.records import FIRST_DATE, LAST_DATE, Item
from unveil.gallery.search.records import Hit, SearchResult

CLOCK_SECONDS = 1.0  # that clocks of two cameras may differ by
MAX_SPEED = 4.0  # metres per second that people go from one camera to the next at most; a fast run


@dataclass(frozen=True)
class CameraTransition:
    """Going from one camera to another.

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


@dataclass(frozen=True)
class Impossible:
    """Two sightings that one person cannot have made.

    Args:
        first: the earlier one.
        second: the later one, at another camera.
        seconds: from the end of the first to the beginning of the second; negative where they overlap.
        metres: between the cameras; ``None`` where it is not known.
    """

    first: Hit
    second: Hit
    seconds: float
    metres: float | None = None

    @property
    def words(self) -> str:
        """What is wrong, in one sentence without names of rows."""
        left, reached = self.first.item.camera, self.second.item.camera
        if self.seconds < 0:
            return f"at {reached} {-self.seconds:.0f} s before {left} was left"
        return f"{self.metres:.0f} m from {left} to {reached} in {self.seconds:.0f} s"


def sightings(found: SearchResult) -> list[Hit]:
    """Return the hits that stand for the person and whose time is known, by time.

    They are those that somebody confirmed, and in a calibrated search the matches. Other results are candidates:
    to join them would draw the path of many people.
    """
    sure = [hit for hit in found.hits if hit.item.id in found.confirmed or _is_match(found, hit)]
    return sorted((hit for hit in sure if hit.item.time is not None), key=lambda hit: (hit.item.time, hit.distance))


def candidates(found: SearchResult) -> list[Hit]:
    """Return all hits whose time is known, by time, whoever they show."""
    return sorted(
        (hit for hit in found.hits if hit.item.time is not None), key=lambda hit: (hit.item.time, hit.distance)
    )


def transitions(seen: Sequence[Hit]) -> list[CameraTransition]:
    """Return how often sightings of one person, in order of time, go from one camera to another, commonest first.

    Sightings of two clocks (see `Item.clock`) do not follow each other.
    """
    gaps: dict[tuple[str, str], list[float]] = {}
    known = [hit.item for hit in seen if hit.item.camera is not None and hit.item.time is not None]
    known.sort(key=lambda item: item.clock)  # a stable sort: those of one clock stay in order of time
    for before, after in pairwise(known):
        if before.clock == after.clock and before.camera != after.camera:
            gaps.setdefault((before.camera or "", after.camera or ""), []).append(max(0.0, _gap(before, after)))
    found = [CameraTransition(*pair, len(times), min(times)) for pair, times in gaps.items()]
    return sorted(found, key=lambda one: (-one.times, one.fastest, one.start, one.end))


def impossible(
    seen: Sequence[Hit], *, distances: Mapping[frozenset[str], float] | None = None, max_speed: float = MAX_SPEED
) -> list[Impossible]:
    """Return pairs of sightings that cannot be of one person: at two cameras at once, or too far apart for the time.

    Sightings of two clocks (see `Item.clock`) may have been days apart.

    Args:
        seen: sightings in order of time.
        distances: metres between pairs of cameras, as far as they are known.
        max_speed: metres per second that a person goes at most.
    """
    known = [hit for hit in seen if hit.item.camera is not None and hit.item.time is not None]
    found = []
    for n, first in enumerate(known):
        for second in known[n + 1 :]:
            if first.item.camera == second.item.camera or first.item.clock != second.item.clock:
                continue
            seconds = _gap(first.item, second.item)
            metres = (distances or {}).get(frozenset((first.item.camera or "", second.item.camera or "")))
            reach = max_speed * max(0.0, seconds + CLOCK_SECONDS)
            if seconds < -CLOCK_SECONDS or (metres is not None and metres > reach):
                found.append(Impossible(first, second, seconds, metres))
    return found


def _is_match(found: SearchResult, hit: Hit) -> bool:
    return found.threshold is not None and hit.distance <= found.threshold


def _gap(before: Item, after: Item) -> float:
    left = before.time if before.end is None else before.end
    assert left is not None and after.time is not None
    return after.time - left


def time_text(seconds: float | None) -> str:
    """Return a timestamp in words: a date where it is one (UTC), else time since the start of a recording."""
    if seconds is None:
        return ""
    if FIRST_DATE <= seconds < LAST_DATE:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return duration(seconds)


def iso(seconds: float | None) -> str | None:
    """Return a timestamp as ISO 8601 in UTC; ``None`` where it is no date but counts from the start of a recording."""
    if seconds is None or not FIRST_DATE <= seconds < LAST_DATE:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """Return a length of time as hours, minutes and seconds."""
    whole = int(abs(seconds))
    sign = "-" if seconds < 0 else ""
    text = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{sign}{whole // 3600}:{text}" if whole >= 3600 else f"{sign}{text}"
