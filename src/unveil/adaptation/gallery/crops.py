"""The crops of a gallery as data to adapt to, with what people said of its results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unveil.adaptation.groups.links import FeedbackPair
from unveil.errors import DataError
from unveil.gallery.calibrate import feedback_rows
from unveil.gallery.records import FIRST_DATE, Filter, Item
from unveil.gallery.store.protocol import PAGE, Store
from unveil.records import Dataset, Sample

MAX_CROPS = 20_000
CLOCKS_APART = 1e7  # seconds between the clocks of two recordings, more than any of them lasts


@dataclass(frozen=True)
class GalleryCrops:
    """What a gallery gives to adapt to.

    Args:
        name: of the gallery.
        dataset: its crops; the key of a sample is the id of its row, and labels of people are left out.
        feedback: pairs that feedback implies.
        last: greatest id of the rows that were there.
    """

    name: str
    dataset: Dataset
    feedback: tuple[FeedbackPair, ...]
    last: int


def gallery_crops(
    store: Store, name: str, *, last: int | None = None, number: int = 0, limit: int = MAX_CROPS, seed: int = 0
) -> GalleryCrops:
    """Read the crops of a gallery; those on which the parser saw no part of a body are left out.

    Args:
        store: where the gallery is.
        name: of the gallery.
        last: greatest id of a row that takes part; all rows by default.
        number: of the dataset among those adapted to, for the keys of feedback.
        limit: crops; of more, pages of neighbouring rows are drawn at random.
        seed: of the drawing.

    Raises:
        DataError: there is no such gallery, or it has no crop.
    """
    ids = store.ids(name, Filter(rows="crop"))
    ids = ids if last is None else ids[ids <= last]
    if not len(ids):
        raise DataError(f"gallery {name!r} has no crop to adapt to")
    rows: list[Item] = []
    crop_of: dict[str, int] = {}  # a crop of each tracklet: what is said of a tracklet is said of its crops
    for item in _drawn(store, name, ids=ids, limit=limit, seed=seed):
        if item.tracklet is not None:
            crop_of.setdefault(item.tracklet, item.id or 0)
        if item.visible is None or item.visible > 0:
            rows.append(item)
    times = _times(rows)
    samples = tuple(
        Sample(str(item.id), data=item.thumbnail, camera=item.camera, time=time, tracklet=item.tracklet)
        for item, time in zip(rows, times, strict=True)
    )
    if not samples:
        raise DataError(f"gallery {name!r} has no crop on which the parser saw somebody")
    return GalleryCrops(
        name, Dataset(f"gallery {name}", samples), _feedback(store, name, crop_of=crop_of, number=number), int(ids[-1])
    )


def _drawn(store: Store, name: str, *, ids: np.ndarray, limit: int, seed: int) -> Iterator[Item]:
    """Yield crops by ascending id, page by page, so that those of a tracklet, which are neighbours, stay together."""
    pages = [ids[start : start + PAGE] for start in range(0, len(ids), PAGE)]
    drawn = np.random.default_rng([seed, 5]).permutation(len(pages))[: -(-limit // PAGE)]
    for page in sorted(drawn.tolist()):
        yield from store.items(name, pages[page].tolist())


def _times(rows: list[Item]) -> list[float | None]:
    """Return the moments of crops so that only those of one clock can coincide.

    Times that are no dates count from the start of a recording: those of two recordings say nothing of each other, and
    those of images by themselves nothing at all.
    """
    sources: dict[str, set[str]] = defaultdict(set)
    for item in rows:
        if item.tracklet is not None:
            sources[item.tracklet].add(item.source)
    clocks: dict[str, int] = {}
    times: list[float | None] = []
    for item in rows:
        if item.time is None or item.time >= FIRST_DATE:
            times.append(item.time)
        elif item.tracklet is None or len(sources[item.tracklet]) > 1:
            times.append(None)
        else:
            times.append(item.time - CLOCKS_APART * (1 + clocks.setdefault(item.source, len(clocks))))
    return times


def _feedback(store: Store, name: str, *, crop_of: dict[str, int], number: int) -> tuple[FeedbackPair, ...]:
    said = feedback_rows(store, name)
    wanted = sorted({row for a, b, _, _ in said for row in (a, b)})
    shown = {item.id: item for item in store.items(name, wanted)}

    def key(row: int) -> str | None:
        item = shown.get(row)
        if item is None:
            return None
        crop = row if item.kind == "crop" else crop_of.get(item.key)
        return None if crop is None else f"{number}/{crop}"

    named = [(key(a), key(b), same, search) for a, b, same, search in said]
    return tuple(FeedbackPair(a, b, same, search) for a, b, same, search in named if a is not None and b is not None)
