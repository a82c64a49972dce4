"""What is known for free: tracklets seen together by one camera are two people, and what people said of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.pseudo_labels import Links
from unveil.gallery.grouping.overlaps import Span, overlapping


@dataclass(frozen=True)
class FeedbackPair:
    """Two crops of which somebody said whether they show one person.

    Args:
        a: number of the dataset among those adapted to, from 0, and key of the sample: ``NUMBER/KEY``.
        b: the other crop.
        same: whether they show one person.
        search: the search in which it was said; pairs of one search are learnt from, or held out, together.
    """

    a: str
    b: str
    same: bool
    search: str


def hold_out_feedback(
    pairs: Sequence[FeedbackPair], share: float, *, seed: int
) -> tuple[list[FeedbackPair], list[FeedbackPair]]:
    """Return the pairs to learn from and those to evaluate on: a share of the searches, drawn at random."""
    searches = sorted({pair.search for pair in pairs})
    drawn = set(np.random.default_rng([seed, 4]).permutation(searches)[: round(share * len(searches))].tolist())
    return [p for p in pairs if p.search not in drawn], [p for p in pairs if p.search in drawn]


def feedback_links(crops: UnlabelledCrops, pairs: Sequence[FeedbackPair]) -> Links:
    """Return what pairs say of units of crops; pairs with a crop that is not there, or of one unit, are left out."""
    found: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for pair in pairs:
        a, b = crops.unit_of.get(pair.a), crops.unit_of.get(pair.b)
        if a is not None and b is not None and a != b:
            found[pair.same].add((min(a, b), max(a, b)))
    must, cannot = (np.array(sorted(found[same]), np.int64).reshape(-1, 2) for same in (True, False))
    return Links(must, cannot)


def unit_places(crops: UnlabelledCrops) -> np.ndarray:
    """Return ``(U,)`` int64 place of each unit by its number."""
    places = np.zeros(int(crops.units.max(initial=-1)) + 1, np.int64)
    places[crops.units] = crops.places
    return places


def seen_together(crops: UnlabelledCrops) -> np.ndarray:
    """Return pairs of units that are certainly two people: tracklets that overlap in time in one camera.

    Crops without a tracklet, a camera or a time link nothing: two detections of one person may share a moment.

    Returns:
        ``(M, 2)`` int64, the smaller unit first, sorted.
    """
    spans = []
    for unit in np.unique(crops.units[crops.tracked]):
        own = np.flatnonzero(crops.units == unit)
        camera, times = crops.cameras[own[0]], crops.times[own]
        if camera is not None and not np.isnan(times).any():
            spans.append(Span(camera, float(times.min()), float(times.max()), int(unit)))
    return overlapping(spans)
