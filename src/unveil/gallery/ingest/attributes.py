"""Attributes of rows that were added before there were any, from their stored images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from unveil.attributes.from_parser import attributes_of
from unveil.attributes.records import Attributes, vote
from unveil.data.images import read_image
from unveil.errors import ImageError
from unveil.gallery.ingest.quality import looked_at
from unveil.gallery.records import Item, Kind
from unveil.gallery.store.protocol import Store
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import track

BATCH = 64


@dataclass(frozen=True)
class Filled:
    """Rows that got attributes, and stored images that could not be read (one sentence each)."""

    crops: int
    tracklets: int
    bad: tuple[str, ...] = ()


def fill_attributes(store: Store, name: str, *, parser: OnnxParser) -> Filled:
    """Estimate the attributes of rows without any from their stored images; a call after a kill resumes.

    A tracklet gets the vote of its stored crops, or what its own image shows where it has none.

    Args:
        store: where the gallery is.
        name: of the gallery.
        parser: one that makes all label sets, as the package's own.

    Raises:
        DataError: there is no such gallery.
    """
    bad: list[str] = []

    def looks(items: list[Item]) -> dict[int, Attributes]:
        images, there = [], []
        found = {item.id or 0: Attributes() for item in items}
        for item in items:
            try:
                images.append(read_image(item.thumbnail, name=f"row {item.id} of {name}"))
                there.append(item.id or 0)
            except ImageError as e:
                bad.append(str(e))
        told = attributes_of(images, looked_at(images, parser))
        return found | {row: one for row, one in zip(there, told, strict=True) if one is not None}

    def votes(items: list[Item]) -> dict[int, Attributes]:
        found, alone = {}, []
        for item in items:
            crops = [(c.attributes, c.quality or 0.0) for c in store.crops_of(name, item.key) if c.attributes]
            if crops:
                found[item.id or 0] = vote(crops)
            else:
                alone.append(item)
        return found | looks(alone)

    crops = _fill(store, name, kind="crop", told=looks)
    return Filled(crops, _fill(store, name, kind="tracklet", told=votes), tuple(bad))


def _fill(store: Store, name: str, *, kind: Kind, told: Callable[[list[Item]], dict[int, Attributes]]) -> int:
    def batches() -> Iterator[list[Item]]:
        after = 0
        while len(ids := store.missing_attributes(name, kind, limit=BATCH, after=after)):
            yield store.items(name, ids.tolist())
            after = int(ids[-1])

    info = store.info(name)
    total = (info.crops if kind == "crop" else info.tracklets) // BATCH + 1
    filled = 0
    for items in track(batches(), f"attributes of the {kind}s of {name}", total=total):
        if items:
            filled += store.fill_attributes(name, told(items))
    return filled
