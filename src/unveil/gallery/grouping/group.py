"""Group the rows of a gallery into probable people, and keep the groups beside them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from unveil.errors import DataError
from unveil.gallery.group_records import GroupChangedError, GroupedRow, Grouping
from unveil.gallery.grouping.clustering import Clusters, cluster
from unveil.gallery.grouping.links import links_of
from unveil.gallery.records import Filter, GalleryInfo, Mode
from unveil.gallery.scoring import calibration
from unveil.gallery.scoring.ranking import in_mode
from unveil.gallery.store.protocol import Store, all_items
from unveil.progress import track

MAX_ROWS = 30_000
TRIES = 3  # where somebody splits or merges people while they are grouped


@dataclass(frozen=True)
class Grouped:
    """What grouping did.

    Args:
        grouping: how.
        rows: rows that are in a group now.
        people: probable people.
        alone: people of one row.
        known: rows that were joined before any distance was compared.
        apart: pairs of people who are certainly two.
        contradictions: feedback that contradicts other feedback and was left out.
    """

    grouping: Grouping
    rows: int
    people: int
    alone: int
    known: int
    apart: int
    contradictions: int


def group_gallery(store: Store, name: str, *, mode: Mode = "same", threshold: float | None = None) -> Grouped:
    """Group the tracklets of a gallery, and its crops that belong to none, into probable people.

    Two groups are joined while the mean distance between their rows is below the threshold; what people said of groups
    and of results, and who was seen together, is kept (`unveil.gallery.grouping.links`).

    Args:
        store: where the gallery is.
        name: of the gallery.
        mode: whether clothes may have changed.
        threshold: mean distance; by default that of the gallery's calibration in this mode.

    Raises:
        DataError: the gallery is not calibrated and no threshold is given, it has no row or more than `MAX_ROWS`, or
            was switched to another model meanwhile.
    """
    info = store.info(name)
    grouping = _settings(info, mode, threshold=threshold)
    ids = store.ids(name, Filter(rows="tracklet"))
    if not len(ids):
        raise DataError(f"gallery {name!r} has no row to group: add some first")
    if len(ids) > MAX_ROWS:
        raise DataError(
            f"gallery {name!r} has {len(ids):,} tracklets and crops without one; at most {MAX_ROWS:,} are grouped, "
            "since each is compared with each: keep cameras or months in galleries of their own"
        )
    for attempt in range(TRIES):
        by_hand = store.groups.by_hand(name)
        items = list(track(all_items(store, name, where=Filter(rows="tracklet")), "reading rows", total=len(ids)))
        there, embedding = store.embeddings(name, [item.id for item in items if item.id is not None])
        known = set(there.tolist())
        items = [item for item in items if item.id in known]
        links = links_of(store, name, items=items, by_hand=by_hand)
        found = cluster(in_mode(embedding, mode), links, threshold=grouping.threshold)
        try:
            people = store.groups.replace(name, grouping, groups=_groups(there, found), version=by_hand.version)
            break
        except GroupChangedError:
            if attempt == TRIES - 1:
                raise
    sizes = np.bincount(found.labels)
    return Grouped(
        grouping, len(items), people, int((sizes == 1).sum()), len(links.units) - len(np.unique(links.units)),
        len(links.cannot), links.contradictions,
    )  # fmt: skip


def _settings(info: GalleryInfo, mode: Mode, *, threshold: float | None) -> Grouping:
    if threshold is not None:
        if not 0 < threshold < float("inf"):
            raise DataError(f"a threshold is a distance above 0, got {threshold:g}")
        return Grouping(
            time.time(), info.space.fingerprint, mode, threshold, calibrated=False, source="given, not calibrated"
        )
    fitted = calibration.of(info, mode)
    if fitted is None:
        what = "is out of date" if calibration.out_of_date(info) else f"is missing for the mode {mode!r}"
        raise DataError(
            f"the calibration of gallery {info.name!r} {what}: without it nobody knows which distances are those of "
            f"one person. `unveil gallery calibrate {info.name}` makes one; --threshold DISTANCE groups without, and "
            "says so"
        )
    return Grouping(time.time(), info.space.fingerprint, mode, fitted.threshold, calibrated=True, source=fitted.about())


def _groups(ids: np.ndarray, found: Clusters) -> list[list[GroupedRow]]:
    groups: list[list[GroupedRow]] = [[] for _ in range(int(found.labels.max()) + 1)]
    for item, label, distance in zip(ids.tolist(), found.labels.tolist(), found.distances.tolist(), strict=True):
        groups[label].append(GroupedRow(item, None if np.isnan(distance) else distance))
    return groups
