"""The image store: crops decoded and resized once into memory-mapped uint8, reused while the files are the same.

A store is a folder ``<hash of paths and size>/`` with ``images.npy``, ``parsing.npy`` and ``index.json``; it is
complete or absent, never half.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unveil.atomic_io import cache_dir
from unveil.data.file_reads import reading
from unveil.data.fitting import CropSize
from unveil.data.prefetch import in_threads
from unveil.data.store.build import BadFile, Consumer, DecodeSettings, build_store, read_fitted
from unveil.errors import DataError
from unveil.recipe import InputSettings
from unveil.records import Sample

log = logging.getLogger(__name__)
VERSION = 1
Maps = Literal["all", "any", "none"]


@dataclass(frozen=True)
class ImageStore:
    """Decoded crops, aligned row by row with their samples.

    Args:
        images: ``(N, H, W, 3)`` uint8 RGB, memory-mapped, read-only.
        parsing: ``(N, H, W)`` uint8 labels, or ``None``; see `open_store`.
        samples: the N readable samples, in the order asked for.
        bad: the files that could not be read, with reasons.
        content_hash: hash of keys, file contents and size (16 hex digits).
        path: folder of the store.
        erased: ``(N, H, W, 3)`` uint8, the crops without their clothes, where these were asked for.
    """

    images: np.ndarray
    parsing: np.ndarray | None
    samples: tuple[Sample, ...]
    bad: tuple[BadFile, ...]
    content_hash: str
    path: Path
    erased: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.samples)


def open_store(
    samples: Sequence[Sample],
    size: InputSettings | CropSize,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    maps: Maps = "all",
    consumer: Consumer | None = None,
) -> ImageStore:
    """Return the store of these crops; build it when there is none, or when a file has changed.

    Crops that it leaves out are tried again each time: a disk, a share or the limits of the system may have kept one
    back once, which its file does not show.

    Args:
        samples: the crops.
        size: of the crops, and how images are brought to it.
        cache: folder of all stores; ``cache_dir() / "images"`` by default.
        workers: threads that decode; all cores by default.
        maps: "all" keeps parsing maps if every crop has one, "any" as soon as one crop has one (a crop without then has
            `UNLABELLED` pixels). "none" leaves them unread: a damaged map then costs no crop.
        consumer: uses the crops while they are decoded; it gets none where the store is there.

    Raises:
        DataError: no sample, none is readable, a map is not of the size of its image, or the disk has not enough room.
    """
    if not samples:
        raise DataError("expected at least one crop to decode, got none")
    size = CropSize.of(size) if isinstance(size, InputSettings) else size
    parameters: dict[str, Any] = {
        "version": VERSION,
        "height": size.height,
        "width": size.width,
        "interpolation": size.interpolation,
    }
    parameters |= {} if size.fit == "stretch" else {"fit": size.fit, "pad": size.pad}
    with_parsing = maps != "none" and (any if maps == "any" else all)(sample.parsing is not None for sample in samples)
    names = [[s.key, where_of(s), str(s.parsing) if with_parsing else None] for s in samples]
    identity = hashlib.sha256(json.dumps([parameters, names]).encode()).hexdigest()[:16]
    folder = (cache or cache_dir() / "images") / identity
    state = file_states(samples, with_parsing=with_parsing)
    settings = DecodeSettings(size, with_parsing, workers=workers, consumer=consumer)

    def complete() -> ImageStore | None:
        found = _load(folder, samples, state=state)
        return None if found is None or _can_be_read(samples, found.bad, settings=settings) else found

    store = complete()
    if store is None:
        build_store(folder, samples, settings=settings, state=state, is_there=lambda: complete() is not None)
        store = _load(folder, samples, state=state)
        if store is None:
            raise DataError(f"the image store {folder} cannot be read back; are its files being changed?")
    if store.bad:
        shown = "; ".join(str(bad) for bad in store.bad[:3])
        log.warning("%d of %d crops cannot be read and are left out: %s", len(store.bad), len(samples), shown)
    return store


def _load(folder: Path, samples: Sequence[Sample], *, state: list[Any]) -> ImageStore | None:
    """Return the store when it is whole and of these files as they are now, else ``None``."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if index["state"] != state:
            return None
        bad = tuple(BadFile(**entry) for entry in index["bad"])
        out = {entry.key for entry in bad}
        readable = tuple(sample for sample in samples if sample.key not in out)
        images = np.load(folder / "images.npy", mmap_mode="r")
        parsing = np.load(folder / "parsing.npy", mmap_mode="r") if index["parsing"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if len(images) != len(readable) or (parsing is not None and parsing.shape != images.shape[:3]):
        return None
    return ImageStore(images, parsing, readable, bad, index["content_hash"], folder)


def _can_be_read(samples: Sequence[Sample], bad: Sequence[BadFile], *, settings: DecodeSettings) -> bool:
    """Whether one of the crops that a store leaves out can be read by now."""
    keys = {entry.key for entry in bad}
    left_out = [sample for sample in samples if sample.key in keys]
    read = partial(read_fitted, size=settings.size, with_parsing=settings.with_parsing)
    with closing(in_threads(read, left_out, workers=settings.workers)) as again:
        return any(not isinstance(crop, BadFile) for crop in again)


def where_of(sample: Sample) -> str:
    """Return the path of a crop's file, or the hash of its bytes where it has none."""
    if sample.path is not None:
        return str(sample.path.absolute())
    return hashlib.sha256(sample.data or b"").hexdigest()


def file_states(samples: Sequence[Sample], *, with_parsing: bool) -> list[list[list[int] | None]]:
    """Return size and time of change of each crop's file and, where asked for, of its map; ``None`` for no file."""

    def states(samples: Sequence[Sample]) -> list[list[list[int] | None]]:
        return [[_state(s.path), _state(s.parsing) if with_parsing else None] for s in samples]

    return next(in_threads(states, [samples], workers=1))  # by a thread: a share may stall here as well


def _state(path: Path | None) -> list[int] | None:
    """Return size and time of change, by which a changed file is known; ``None`` for a missing one."""
    if path is None:
        return None
    try:
        with reading(path):
            stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]
