"""Parsing maps of a store in another label set, made once and kept beside it."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from unveil.atomic_io import atomic_path
from unveil.data.store.image_store import ImageStore
from unveil.label_sets import CRE7_ERASED
from unveil.parsing.mapping import CONVERSIONS, map_labels
from unveil.progress import track
from unveil.records import UNLABELLED
from unveil.world.labels import table as world_table


def store_in(store: ImageStore, source: str, *, target: str) -> ImageStore:
    """Return a store whose parsing maps are in another label set.

    Raises:
        DataError: there is no sensible mapping from ``source`` to ``target``.
    """
    if store.parsing is None or source == target:
        return store
    path = store.path / f"parsing-{source}-{target}-{tables_hash(source, target=target)}-{store.content_hash}.npy"
    if not path.exists():
        with atomic_path(path) as temporary:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=store.parsing.shape)
            for row in track(range(len(out)), f"translating parsing maps from {source} to {target}"):
                labels = store.parsing[row]
                out[row] = np.where(labels == UNLABELLED, UNLABELLED, mapped(labels, source, target=target))
            out.flush()
    return dataclasses.replace(store, parsing=np.load(path, mmap_mode="r"))


def tables_hash(source: str, *, target: str) -> str:
    """Return a hash of the look-up tables of a translation, for names of files: corrected ones make them anew."""
    tables = world_table(target).tobytes() if source == "world" else repr(CONVERSIONS).encode()
    return hashlib.sha256(tables + repr(CRE7_ERASED).encode()).hexdigest()[:8]


def mapped(labels: np.ndarray, source: str, *, target: str) -> np.ndarray:
    """Return labels of one set as those of another; "world": the labels that rendered people are made with."""
    return world_table(target)[labels] if source == "world" else map_labels(labels, source, target=target)
