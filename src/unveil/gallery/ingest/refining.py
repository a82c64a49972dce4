"""Tracks become tracklets: each split where its looks disagree, joined with what is surely its continuation.

Both are conservative, and a joined tracklet keeps why. Two people in one tracklet are worse than one in two: rows can
be grouped later, and a search finds both.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np

from unveil.gallery.ingest.best_crops import OpenTrack, TrackPoint
from unveil.video.appearance import Look, apart

SPAN = 4  # boxes on each side of a place where a track may be split
SPLIT, SPLIT_GAP = 18.0, 15.0  # difference of looks from which it is; lower after a gap
GAP = 0.8  # seconds without a box that make a gap
JOIN_WITHIN = 4.0  # seconds from the end of one track to the beginning of the next
NEAR, WALK = 0.5, 0.8  # body heights between both, at once and for each second that passed
COAST = 1.5  # seconds for which a walk is extrapolated
SIZE = 0.3  # change of the logarithm of the height
ALIKE = 11.0  # difference of looks
MARGIN = 0.15  # how much worse every other continuation must be


Named = tuple[str, OpenTrack]


def settled(
    finished: Sequence[Named], going: Collection[OpenTrack], *, now: float | None
) -> tuple[list[Named], list[Named]]:
    """Split and join tracks that ended; return those that are done, and those that may still continue.

    Args:
        finished: names and tracks; what was split or joined has none any more.
        going: tracks that are open.
        now: timestamp in the video, seconds; ``None``: all are done.
    """
    names = {id(ended): name for name, ended in finished}
    done: list[Named] = []
    waiting: list[Named] = []
    for track in join([part for _, ended in finished for part in split(ended) if part.pool]):
        waits = now is not None and (
            now - track.end <= JOIN_WITHIN or any(0 < t.begin - track.end <= JOIN_WITHIN for t in going if t.boxes)
        )
        (waiting if waits else done).append((names.get(id(track), ""), track))
    return done, waiting


def split(track: OpenTrack) -> list[OpenTrack]:
    """Return the parts of a track in which its looks agree; the whole where they all do, or where it was joined."""
    if track.reasons:
        return [track]
    steps = track.steps
    doubts = []
    for place in range(2, len(steps) - 1):
        before, after = steps[max(0, place - SPAN) : place], steps[place : place + SPAN]
        least = SPLIT_GAP if after[0].time - before[-1].time > GAP else SPLIT
        if (difference := apart(_mean(before), _mean(after))) > least:
            doubts.append((difference, place))
    cuts: list[int] = []
    for _, place in sorted(doubts, reverse=True):  # around a change there are several: the greatest is the place
        if all(abs(place - cut) >= SPAN for cut in cuts):
            cuts.append(place)
    if not cuts:
        return [track]
    return [track.part(a, b) for a, b in pairwise([0, *sorted(cuts), len(steps)])]


def join(tracks: Sequence[OpenTrack]) -> list[OpenTrack]:
    """Return tracks by their beginning, those joined of which one surely continues as the other.

    One begins at most `JOIN_WITHIN` seconds after the other ended, near where that one was or was going, as tall and in
    the same colours; and neither has another partner that is nearly as good.
    """
    ordered = sorted(tracks, key=lambda track: track.begin)
    pairs = sorted(
        (cost, a, b)
        for a, first in enumerate(ordered)
        for b, second in enumerate(ordered)
        if (cost := _cost(first, second)) is not None
    )
    after: dict[int, int] = {}
    taken: set[int] = set()
    for cost, a, b in pairs:
        if a in after or b in taken:
            continue
        rivals = [p for p in pairs if (p[1] == a) != (p[2] == b) and p[1] not in after and p[2] not in taken]
        if all(rival[0] >= cost + MARGIN for rival in rivals):
            after[a] = b
            taken.add(b)
    joined = []
    for number in range(len(ordered)):
        if number in taken:
            continue
        whole = ordered[number]
        while number in after:
            following = ordered[after[number]]
            whole = whole.followed_by(following, _reason(ordered[number], following))
            number = after[number]
        joined.append(whole)
    return joined


def _cost(first: OpenTrack, second: OpenTrack) -> float | None:
    """Return how doubtful it is that the second track continues the first, at least 0; ``None`` when it does not."""
    passed = second.begin - first.end
    if not 0 < passed <= JOIN_WITHIN:
        return None
    last, begun = first.steps[-5:], second.steps[:5]
    tall, taller = _height(last), _height(begun)
    away = _away(first, second)
    colours = _colours(first, second)
    reach = NEAR + WALK * passed
    if abs(math.log(tall / taller)) > SIZE or away > reach or colours > ALIKE:
        return None
    return away / reach + colours / ALIKE


def _away(first: OpenTrack, second: OpenTrack) -> float:
    """Return the distance in body heights from where a track ended, or was going, to where another begins."""
    end, begin = _middle(first.steps[-1]), _middle(second.steps[0])
    earlier = first.steps[-min(len(first.steps), SPAN + 1)]
    took = first.steps[-1].time - earlier.time
    walk = (end - _middle(earlier)) / took if took > 0 else np.zeros(2)
    going = end + walk * min(second.begin - first.end, COAST)
    tall = (_height(first.steps[-5:]) + _height(second.steps[:5])) / 2
    return float(min(np.hypot(*(begin - end)), np.hypot(*(begin - going))) / tall)


def _colours(first: OpenTrack, second: OpenTrack) -> float:
    return apart(_look(first.steps[-2 * SPAN :]), _look(second.steps[: 2 * SPAN]))


def _reason(first: OpenTrack, second: OpenTrack) -> str:
    return (
        f"joined: seen again after {second.begin - first.end:.1f} s, {_away(first, second):.1f} body heights from "
        f"where expected, colours {_colours(first, second):.0f} apart (at most {ALIKE:.0f})"
    )


def _mean(steps: Sequence[TrackPoint]) -> Look:
    return np.asarray(np.mean([step.look for step in steps], axis=0), np.float32)


def _look(steps: Sequence[TrackPoint]) -> Look:
    return np.asarray(np.median([step.look for step in steps], axis=0), np.float32)


def _height(steps: Sequence[TrackPoint]) -> float:
    return float(np.median([step.box[3] for step in steps]))


def _middle(step: TrackPoint) -> np.ndarray:
    x, y, w, h = step.box
    return np.array((x + w / 2, y + h / 2))
