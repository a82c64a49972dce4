"""Embedding crops with any model: files while those after them are decoded into the image store, images as they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from unveil.data.fitting import fit_image
from unveil.data.store.build import Consumer
from unveil.data.store.image_store import ImageStore, Maps, open_store
from unveil.errors import DataError, is_out_of_memory
from unveil.models.embedder import Embedder
from unveil.models.translated_maps import store_in
from unveil.progress import track
from unveil.records import Embedding, Sample

log = logging.getLogger(__name__)
T = TypeVar("T")


def embed_samples(
    model: Embedder,
    samples: Sequence[Sample],
    *,
    cache: Path | None = None,
    scheme: str | None = None,
    batch_size: int | None = None,
) -> tuple[Embedding, ImageStore]:
    """Embed crops in order; crops that cannot be read are left out and listed in ``store.bad``.

    While a batch is embedded, the next one is read, decoded and resized. Crops that are in the store already come from
    there; all are decoded first for a model that is adapted to cameras, whose batches are not in order, and for
    one that looks at parsing maps.

    Args:
        model: any model.
        samples: the crops.
        cache: folder of the image store.
        scheme: label set of the crops' parsing maps; they are used only by methods that test with them.
        batch_size: crops at a time; the model's own choice by default.

    Returns:
        The embedding (numpy, one row for each of ``store.samples``) and the store.

    Raises:
        DataError: the model answers with numbers that are not finite.
    """
    wanted = model.test_parsing
    looks_at_maps = scheme is not None and wanted is not None
    size = batch_size or model.batch
    parts = _Parts[np.ndarray](lambda crops: model.embed_crops(np.stack(crops)), most=size)
    consumer = None
    if not looks_at_maps and not model.cameras:
        consumer = Consumer(parts.collect, ahead=size, what=f"embedding {len(samples)} crops")
    maps: Maps = "any" if looks_at_maps else "none"
    store = open_store(samples, model.crop_size, cache=cache, maps=maps, consumer=consumer)
    if scheme is not None and wanted is not None:
        store = store_in(store, scheme, target=wanted)
    embedding = parts.whole()
    if embedding is None:
        embedding = _embed(model, store, size=size)
    if not embedding.is_finite:
        bad = np.flatnonzero(
            ~np.isfinite(embedding.vectors).all(axis=(1, 2)) | ~np.isfinite(embedding.visibility).all(1)
        )
        raise DataError(
            f"the model answers with NaN or infinity for {len(bad)} of {len(embedding)} crops, for example "
            f"{store.samples[int(bad[0])].key!r}: its training diverged, or its weights are damaged"
        )
    return embedding, store


def embed_images(
    model: Embedder,
    images: Sequence[np.ndarray],
    *,
    batch_size: int | None = None,
    cameras: Sequence[str | None] | None = None,
) -> Embedding:
    """Return the numpy embedding of crops ``(h, w, 3)`` uint8 RGB of any sizes, at least one, in order.

    Args:
        model: any model.
        images: the crops.
        batch_size: crops at a time; the model's own choice by default.
        cameras: label of each crop's camera, ``None`` where it is unknown.
    """

    def embed(rows: Sequence[int]) -> Embedding:
        return model.embed_crops(np.stack([fit_image(images[row], model.crop_size) for row in rows]))

    return embed_by_camera(model, cameras or [None] * len(images), embed=embed, size=batch_size or model.batch)


def embed_by_camera(
    model: Embedder,
    cameras: Sequence[str | None],
    *,
    embed: Callable[[list[int]], Embedding],
    size: int,
    what: str | None = None,
) -> Embedding:
    """Embed crops batch by batch, those of a camera together where the model is adapted to it; return them in order.

    Args:
        model: any model.
        cameras: label of each crop's camera, ``None`` where it is unknown.
        embed: embeds the crops of some rows, ascending.
        size: crops at a time; half as many, and half of that, once memory is short.
        what: what progress is shown as; none by default.
    """
    known = set(model.cameras)
    labels = [camera if camera in known else None for camera in cameras]
    groups: dict[str | None, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    batches = [(label, rows[i : i + size]) for label, rows in groups.items() for i in range(0, len(rows), size)]
    parts = _Parts(embed, most=size)
    for label, rows in track(batches, what) if what else batches:
        with model.of_camera(label):
            parts.add(rows)
    order = np.argsort(np.concatenate([rows for _, rows in batches]))
    return Embedding.concatenate(parts.found).select(order)


class _Parts(Generic[T]):
    """Embeds crops part by part, fewer at a time once memory was short.

    Args:
        embed: embeds some crops, given as images or as rows.
        most: crops of a part.
    """

    def __init__(self, embed: Callable[[list[T]], Embedding], *, most: int) -> None:
        self.found: list[Embedding] = []
        self._embed = embed
        self._size = self._most = most
        self._waiting: list[T] = []

    def add(self, crops: list[T]) -> None:
        """Embed crops."""
        while crops:
            try:
                self.found.append(self._embed(crops[: self._most]))
                crops = crops[self._most :]
            except (RuntimeError, MemoryError) as e:
                if not is_out_of_memory(e) or self._most == 1:
                    raise
                self._most = (min(self._most, len(crops)) + 1) // 2
                log.warning("the memory does not suffice: %d crops at a time from here on", self._most)

    def collect(self, crop: T) -> None:
        """Take a crop, and embed those that wait if they are enough."""
        self._waiting.append(crop)
        if len(self._waiting) == self._size:
            self._embed_waiting()

    def whole(self) -> Embedding | None:
        """Return the embedding of all crops that came one by one, ``None`` where none came."""
        self._embed_waiting()
        return Embedding.concatenate(self.found) if self.found else None

    def _embed_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.add(waiting)


def _embed(model: Embedder, store: ImageStore, *, size: int) -> Embedding:
    def embed(rows: list[int]) -> Embedding:
        # One run of rows is read as a slice of the file, not gathered row by row.
        taken = slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] == len(rows) - 1 else rows
        return model.embed_crops(store.images[taken], None if store.parsing is None else store.parsing[taken])

    cameras = [sample.camera for sample in store.samples]
    return embed_by_camera(model, cameras, embed=embed, size=size, what=f"embedding {len(cameras)} crops")
