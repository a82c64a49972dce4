"""PifPaf confidence fields as BPBReID stores them, grouped into part maps and label maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError, nearest
from unveil.parsing.formats.npy import read_npy

FIELDS = 36
Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Grouping:
    """Which of the 36 fields make up each part (17 keypoints first, then 19 associations)."""

    name: str
    parts: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts, in order."""
        return tuple(name for name, _ in self.parts)


_HEAD = ("head", (0, 1, 2, 3, 4, 29, 30, 31, 32, 33, 34, 35))
_LEFT_ARM = ("left-arm", (5, 7, 9, 25, 27))
_RIGHT_ARM = ("right-arm", (6, 8, 10, 26, 28))
_TORSO = ("torso", (11, 12, 21, 22, 23, 24))
# Field 21 (hip to hip) is in the left leg but not in the right one; so it is in the original.
_SIX = (
    _HEAD,
    _LEFT_ARM,
    _RIGHT_ARM,
    _TORSO,
    ("left-leg", (13, 15, 17, 18, 21)),
    ("right-leg", (14, 16, 19, 20)),
)
_EIGHT = (
    *_SIX[:4],
    ("left-leg", (13, 17, 18, 21)),
    ("right-leg", (14, 19, 20)),
    ("left-foot", (15,)),
    ("right-foot", (16,)),
)
_FIVE = (
    _HEAD,
    ("arms", (5, 6, 7, 8, 9, 10, 25, 26, 27, 28)),
    _TORSO,
    ("legs", (11, 12, 13, 14, 17, 18, 19, 20, 21)),
    ("feet", (15, 16)),
)
_FIVE_V = (
    _HEAD,
    ("upper-torso", (5, 6, 7, 8, 24, 25, 26)),
    ("lower-torso", (9, 10, 11, 12, 23, 27, 28)),
    ("legs", (11, 12, 13, 14, 17, 18, 19, 20)),
    ("feet", (15, 16)),
)
_FOUR = (
    _HEAD,
    ("arms", (5, 6, 7, 8, 9, 10, 25, 26, 27, 28)),
    ("torso", (5, 6, 11, 12, 21, 22, 23, 24)),
    ("legs", (11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)),
)
GROUPINGS = {
    name: Grouping(name, parts)
    for name, parts in {"six": _SIX, "eight": _EIGHT, "five": _FIVE, "five_v": _FIVE_V, "four": _FOUR}.items()
}


def get_grouping(name: str) -> Grouping:
    """Return a grouping by name.

    Raises:
        DataError: no grouping has that name.
    """
    if name not in GROUPINGS:
        raise DataError(f"unknown grouping {name!r}{nearest(name, GROUPINGS)}; known: {', '.join(GROUPINGS)}")
    return GROUPINGS[name]


def field_paths(root: Path, key: str) -> Iterator[Path]:
    """Yield where the fields of an image may be: every suffix in use, with and without its folder per person."""
    relative = PurePosixPath(key)
    folders = [root / relative.parent]
    if relative.parent.name:
        folders.append(root / relative.parent.parent)
    for folder in folders:
        for stem in (relative.name, relative.stem):
            for suffix in (".confidence_fields.npy", ".npy"):
                yield folder / f"{stem}{suffix}"


def find_fields(root: Path, key: str) -> Path | None:
    """Return the file of fields of an image by its relative path, or ``None``."""
    return next((path for path in field_paths(root, key) if path.is_file()), None)


def read_fields(path: Path) -> Maps:
    """Read confidence fields as float32 ``(36, h, w)``.

    Raises:
        DataError: the file is not such an array; the message names it.
    """
    fields = read_npy(path, "confidence fields")
    if fields.ndim != 3 or fields.shape[0] != FIELDS:
        raise DataError(f"{path}: expected an array ({FIELDS}, h, w), found {fields.shape}")
    return fields.astype(np.float32, copy=False)


def part_maps(fields: Maps, grouping: str = "six") -> Maps:
    """Return part maps ``(X, h, w)`` in [0, 1]: the largest of a part's fields, clamped."""
    parts = [fields[list(members)].max(axis=0) for _, members in get_grouping(grouping).parts]
    return np.clip(np.stack(parts), 0, 1)


def with_background(parts: Maps, threshold: float = 0.5, *, sharpness: float = 15.0) -> Maps:
    """Return ``(X + 1, h, w)`` maps that sum to 1, background first: softmax of ``sharpness`` x the maps.

    The background is 1 where no part reaches ``threshold``, and 0 elsewhere.
    """
    background = (parts.max(axis=0) < threshold).astype(np.float32)
    maps = sharpness * np.concatenate([background[None], parts])
    weights = np.exp(maps - maps.max(axis=0))
    return weights / weights.sum(axis=0)


def part_labels(fields: Maps, size: tuple[int, int], *, grouping: str = "six") -> NDArray[np.uint8]:
    """Return labels ``(H, W)``, 0 background and 1..X the parts in order; ``size`` is (H, W) in pixels.

    Fields are enlarged to the image by nearest neighbour, as in BPBReID; labels of grouping ``six`` are those of the
    scheme ``pab6``, of ``eight`` those of ``bpb8``.
    """
    labels = with_background(part_maps(fields, grouping)).argmax(axis=0).astype(np.uint8)
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
