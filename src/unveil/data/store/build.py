"""Building an image store: decode in threads, write in order, all or nothing; crops can be used meanwhile."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unveil.atomic_io import atomic_folder, locked
from unveil.data.file_reads import read_bytes
from unveil.data.fitting import CropSize, fit_image, fit_labels
from unveil.data.images import read_image, read_labels
from unveil.data.prefetch import in_threads
from unveil.errors import DataError, ImageError
from unveil.progress import track
from unveil.records import UNLABELLED, Sample

BUSY = "another process decodes the same crops, or embeds them as they are decoded: waiting until it is done"


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


@dataclass(frozen=True)
class Consumer:
    """What uses crops while those after them are decoded.

    Args:
        take: takes each readable crop, fitted, ``(H, W, 3)`` uint8 RGB, in order.
        ahead: crops that are decoded, or are being decoded, beyond the one that it has.
        what: what progress is shown as.
    """

    take: Callable[[np.ndarray], None]
    ahead: int
    what: str


@dataclass(frozen=True)
class DecodeSettings:
    """How crops are decoded into a store.

    Args:
        size: of the crops, and how images are brought to it.
        with_parsing: also store the parsing maps; a crop without one gets `UNLABELLED` pixels.
        workers: threads; all cores by default.
        consumer: uses the crops meanwhile.
    """

    size: CropSize
    with_parsing: bool
    workers: int | None = None
    consumer: Consumer | None = None


def build_store(
    folder: Path,
    samples: Sequence[Sample],
    *,
    settings: DecodeSettings,
    state: list[Any],
    is_there: Callable[[], bool],
) -> None:
    """Decode the crops into ``folder``.

    Args:
        folder: the store; replaced as a whole.
        samples: the crops.
        settings: how they are decoded.
        state: what the index keeps to know changed files by.
        is_there: asked once the lock is held: has another process built it meanwhile?

    Raises:
        DataError: no crop is readable, or the disk has not enough room.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder, busy=BUSY):
        if is_there():
            return
        for leftover in folder.parent.glob(f".{folder.name}.*.tmp"):  # of a build that was killed: the lock is ours
            shutil.rmtree(leftover, ignore_errors=True)
        pixels = len(samples) * settings.size.height * settings.size.width
        _check_room(folder.parent, pixels * (4 if settings.with_parsing else 3))
        with atomic_folder(folder) as temporary:
            _write(temporary, samples, settings=settings, state=state)


def read_crop(sample: Sample, *, with_parsing: bool, longest_side: int | None = None) -> Crop | BadFile:
    """Read one crop as it is on disk, or say why it cannot be read.

    Args:
        sample: the crop.
        with_parsing: read its parsing map too.
        longest_side: pixels that are enough; see `read_image`.
    """
    try:
        data = sample.data if sample.path is None else read_bytes(sample.path)
        image = read_image(data or b"", name=str(sample.path or sample.key), longest_side=longest_side)
        parsing = read_labels(sample.parsing) if with_parsing and sample.parsing is not None else None
    except OSError as e:
        return BadFile(sample.key, f"{sample.path}: cannot be read: {e.strerror or e}")
    except ImageError as e:
        return BadFile(sample.key, str(e))
    return Crop(image, parsing, hashlib.sha256(data or b"").hexdigest())


def read_fitted(sample: Sample, size: CropSize, *, with_parsing: bool) -> Crop | BadFile:
    """Read one crop as a store keeps it, or say why it cannot be read.

    Raises:
        DataError: its parsing map is not of the size of its image.
    """
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


def _write(folder: Path, samples: Sequence[Sample], *, settings: DecodeSettings, state: list[Any]) -> None:
    size, with_parsing = settings.size, settings.with_parsing
    bad: list[BadFile] = []
    kept = [] if size.fit == "stretch" else [size.fit, size.pad]
    content = hashlib.sha256(json.dumps([size.height, size.width, size.interpolation, *kept]).encode())
    shape = (size.height, size.width)
    ahead, what = (settings.consumer.ahead, settings.consumer.what) if settings.consumer else (None, "decoding")
    decoded = in_threads(
        lambda sample: read_fitted(sample, size, with_parsing=with_parsing),
        samples,
        workers=settings.workers,
        ahead=ahead,
    )
    with (
        (folder / "images.npy").open("wb") as images,
        (folder / "parsing.npy").open("wb") as parsing,
        closing(decoded),
    ):
        # Written in order through files, not through a memory map: a full disk is then an error, not a crash.
        _header(images, (len(samples), *shape, 3))
        _header(parsing, (len(samples) if with_parsing else 0, *shape))
        for sample, crop in zip(samples, track(decoded, what, total=len(samples)), strict=True):
            if isinstance(crop, BadFile):
                bad.append(crop)
                continue
            images.write(np.ascontiguousarray(crop.image).data)
            if crop.parsing is not None:
                labels = np.ascontiguousarray(crop.parsing).data
                parsing.write(labels)
                content.update(labels)
            content.update(f"{sample.key}\0{crop.digest}\n".encode())
            if settings.consumer is not None:
                settings.consumer.take(crop.image)
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
