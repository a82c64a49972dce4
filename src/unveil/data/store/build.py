"""Building an image store: decode in threads, write in order, all or nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np

from unveil.atomic_io import atomic_folder, locked
from unveil.data.fitting import CropSize, fit_image, fit_labels
from unveil.data.images import read_image, read_labels
from unveil.errors import DataError, ImageError
from unveil.progress import track
from unveil.records import UNLABELLED, Sample

T = TypeVar("T")
WAITING_PER_WORKER = 16


@dataclass(frozen=True)
class BadFile:
    """A crop that could not be read, and why."""

    key: str
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Crop:
    """A decoded crop, the SHA-256 of its file, and its parsing map if that was asked for."""

    image: np.ndarray
    parsing: np.ndarray | None
    digest: str


def build_store(
    folder: Path,
    samples: Sequence[Sample],
    *,
    size: CropSize,
    with_parsing: bool,
    state: list[Any],
    workers: int | None,
    is_there: Callable[[], bool],
) -> None:
    """Decode the crops into ``folder``.

    Args:
        folder: the store; replaced as a whole.
        samples: the crops.
        size: of the crops, and how images are brought to it.
        with_parsing: also store the parsing maps; a crop without one gets `UNLABELLED` pixels.
        state: what the index keeps to know changed files by.
        workers: threads; all cores by default.
        is_there: asked once the lock is held: has another process built it meanwhile?

    Raises:
        DataError: no crop is readable, or the disk has not enough room.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if is_there():
            return
        for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):  # of a build that was killed: the lock is ours
            shutil.rmtree(leftover, ignore_errors=True)
        _check_room(folder.parent, len(samples) * size.height * size.width * (4 if with_parsing else 3))
        with atomic_folder(folder) as temporary:
            _write(temporary, samples, size=size, with_parsing=with_parsing, state=state, workers=workers)


def read_crop(sample: Sample, *, with_parsing: bool, longest_side: int | None = None) -> Crop | BadFile:
    """Read one crop as it is on disk, or say why it cannot be read.

    Args:
        sample: the crop.
        with_parsing: read its parsing map too.
        longest_side: pixels that are enough; see `read_image`.
    """
    try:
        data = sample.data if sample.path is None else sample.path.read_bytes()
        image = read_image(data or b"", name=str(sample.path or sample.key), longest_side=longest_side)
        parsing = read_labels(sample.parsing) if with_parsing and sample.parsing is not None else None
    except OSError as e:
        return BadFile(sample.key, f"{sample.path}: cannot be read: {e.strerror or e}")
    except ImageError as e:
        return BadFile(sample.key, str(e))
    return Crop(image, parsing, hashlib.sha256(data or b"").hexdigest())


def in_threads(function: Callable[[Sample], T], items: Iterable[Sample], *, workers: int | None = None) -> Iterator[T]:
    """Map in order with a bounded number of results waiting; decoding releases the interpreter lock."""
    workers = workers or os.cpu_count() or 1
    waiting: deque[Future[T]] = deque()
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(executor.submit(function, item))
            if len(waiting) >= workers * WAITING_PER_WORKER:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)


def _at_size(sample: Sample, size: CropSize, *, with_parsing: bool) -> Crop | BadFile:
    # Twice the pixels that are asked for lose nothing that can be seen, and large JPEG files are decoded in a third of
    # the time; a map has to have the size of its image.
    enough = None if with_parsing else 2 * max(size.height, size.width)
    crop = read_crop(sample, with_parsing=with_parsing, longest_side=enough)
    if isinstance(crop, BadFile):
        return crop
    parsing = None
    if crop.parsing is not None:
        if crop.parsing.shape != crop.image.shape[:2]:
            raise DataError(
                f"{sample.parsing}: expected a parsing map of the size of its image {sample.key}, "
                f"{crop.image.shape[1]}x{crop.image.shape[0]} (width x height), found "
                f"{crop.parsing.shape[1]}x{crop.parsing.shape[0]}; parse the image again"
            )
        parsing = fit_labels(crop.parsing, size)
    elif with_parsing:
        parsing = np.full((size.height, size.width), UNLABELLED, np.uint8)
    return Crop(fit_image(crop.image, size), parsing, crop.digest)


def _write(
    folder: Path,
    samples: Sequence[Sample],
    *,
    size: CropSize,
    with_parsing: bool,
    state: list[Any],
    workers: int | None,
) -> None:
    bad: list[BadFile] = []
    kept = [] if size.fit == "stretch" else [size.fit, size.pad]
    content = hashlib.sha256(json.dumps([size.height, size.width, size.interpolation, *kept]).encode())
    shape = (size.height, size.width)
    with (folder / "images.npy").open("wb") as images, (folder / "parsing.npy").open("wb") as parsing:
        # Written in order through files, not through a memory map: a full disk is then an error, not a crash.
        _header(images, (len(samples), *shape, 3))
        _header(parsing, (len(samples) if with_parsing else 0, *shape))
        decoded = in_threads(lambda sample: _at_size(sample, size, with_parsing=with_parsing), samples, workers=workers)
        for sample, crop in zip(samples, track(decoded, "decoding", total=len(samples)), strict=True):
            if isinstance(crop, BadFile):
                bad.append(crop)
                continue
            images.write(np.ascontiguousarray(crop.image).data)
            if crop.parsing is not None:
                labels = np.ascontiguousarray(crop.parsing).data
                parsing.write(labels)
                content.update(labels)
            content.update(f"{sample.key}\0{crop.digest}\n".encode())
        good = len(samples) - len(bad)
        if not good:
            raise DataError(f"none of the {len(samples)} crops can be read; the first: {bad[0]}")
        _header(images, (good, *shape, 3))
        _header(parsing, (good if with_parsing else 0, *shape))
    index = {
        "content_hash": content.hexdigest()[:16],
        "parsing": with_parsing,
        "bad": [dataclasses.asdict(entry) for entry in bad],
        "state": state,
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the .npy header at the beginning; numpy leaves room, so that another first length fits the same bytes."""
    file.seek(0)
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"the decoded crops need {needed / 2**30:.2f} GiB in {folder}, {free / 2**30:.2f} GiB are free; "
            "make room, or name another folder (--cache, or UNVEIL_CACHE)"
        )
