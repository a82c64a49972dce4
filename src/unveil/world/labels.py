"""The label set of the world (what a pixel shows x the body part it covers) and its tables to the field's label sets.

A world label is ``FIRST + class * len(PARTS) + part``; 0 is the background, 1 a thing that occludes the person, 2
another person. Left and right are the person's own.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError, nearest
from unveil.label_sets import ATR18, BPB8, LIP20, PAB6, PASCAL7
from unveil.parsing.mapping import CONVERSIONS, worn_parts

BACKGROUND, OCCLUDER, OTHER_PERSON, FIRST = 0, 1, 2, 3
PARTS = (
    "head",
    "torso",
    "left-upper-arm",
    "right-upper-arm",
    "left-lower-arm",
    "right-lower-arm",
    "left-upper-leg",
    "right-upper-leg",
    "left-lower-leg",
    "right-lower-leg",
    "left-foot",
    "right-foot",
)
# 1 for the person's left, -1 for the right, which follows its left, 0 for neither.
SIDES = tuple({"left": 1, "right": -1}.get(part.partition("-")[0], 0) for part in PARTS)
CLASSES = (
    "hair",
    "hat",
    "face",
    "glasses",
    "neck",
    "skin",
    "scarf",
    "upper",
    "coat",
    "dress",
    "pants",
    "skirt",
    "socks",
    "shoes",
    "bag",
    "aid",
)
SCHEMES = ("world", "lip20", "atr18", "pascal7", "cre7", "pab6", "bpb8", "worn14")

# LIP has no bag and no walking aid (background), and no neck: its annotators give the neck to the face; bare skin of
# the torso counts as the upper clothes around it.
_LIP = {
    "hair": "hair",
    "hat": "hat",
    "face": "face",
    "glasses": "sunglasses",
    "neck": "face",
    "scarf": "scarf",
    "upper": "upper-clothes",
    "coat": "coat",
    "dress": "dress",
    "pants": "pants",
    "skirt": "skirt",
    "socks": "socks",
    "bag": "background",
    "aid": "background",
}
_ATR: dict[str, str] = _LIP | {"coat": "upper-clothes", "bag": "bag"}
_PASCAL = (
    "head",
    "torso",
    "upper-arms",
    "upper-arms",
    "lower-arms",
    "lower-arms",
    "upper-legs",
    "upper-legs",
    "lower-legs",
    "lower-legs",
    "lower-legs",
    "lower-legs",
)
_CARRIED = ("bag", "aid")


def code(kind: str, part: str) -> int:
    """Return the world label of a class on a body part."""
    return FIRST + CLASSES.index(kind) * len(PARTS) + PARTS.index(part)


def codes(kind: str, parts: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return the world labels of a class for part numbers of any shape."""
    return (FIRST + CLASSES.index(kind) * len(PARTS) + parts).astype(np.int32)


def part_of(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the part number of each label, -1 for the three labels that are not the person."""
    values = labels.astype(np.int64) - FIRST
    return np.where(values >= 0, values % len(PARTS), -1)


def class_of(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the class number of each label, -1 for the three labels that are not the person."""
    values = labels.astype(np.int64) - FIRST
    return np.where(values >= 0, values // len(PARTS), -1)


@cache
def table(scheme: str) -> NDArray[np.uint8]:
    """Return the look-up table ``(256,)`` from world labels to a label set.

    Raises:
        DataError: the world has no such table.
    """
    if scheme not in SCHEMES:
        raise DataError(f"the world has no labels {scheme!r}{nearest(scheme, SCHEMES)}; it has {', '.join(SCHEMES)}")
    found = np.zeros(256, np.uint8)
    if scheme == "world":
        return np.arange(256, dtype=np.uint8)
    if scheme == "cre7":
        return np.array(CONVERSIONS["atr18", "cre7"].table, np.uint8)[table("atr18")]
    if scheme == "worn14":
        return worn_parts(table("pab6"), table("cre7"))
    one = {"lip20": _lip, "atr18": _atr, "pascal7": _pascal, "pab6": _pab, "bpb8": _bpb}[scheme]
    for kind in CLASSES:
        for part in PARTS:
            found[code(kind, part)] = one(kind, part)
    return found


def colours() -> NDArray[np.uint8]:
    """Return an RGB colour for each world label ``(256, 3)``: hue by class, lightness by part, grey for the rest."""
    shade = np.zeros((256, 3))
    shade[OCCLUDER], shade[OTHER_PERSON] = 110, 190
    hues = np.arange(len(CLASSES)) * 0.381966
    for k, hue in enumerate(hues):
        rgb = 0.5 + 0.5 * np.cos(2 * np.pi * (hue + np.array([0, 1 / 3, 2 / 3])))
        for p in range(len(PARTS)):
            shade[FIRST + k * len(PARTS) + p] = 255 * (0.15 + 0.85 * rgb) * (0.72 + 0.28 * ((p * 5) % 12) / 11)
    return np.round(shade).astype(np.uint8)


def _side(part: str) -> str:
    return part.partition("-")[0]


def _skin(part: str, torso: str) -> str:
    if part in ("head", "torso"):
        return torso
    return f"{_side(part)}-{'arm' if part.endswith('arm') else 'leg'}"


def _lip(kind: str, part: str) -> int:
    if kind == "shoes":
        return LIP20.index(f"{_side(part)}-shoe") if _side(part) in ("left", "right") else 0
    return LIP20.index(_skin(part, "upper-clothes") if kind == "skin" else _LIP[kind])


def _atr(kind: str, part: str) -> int:
    if kind == "shoes":
        return ATR18.index(f"{_side(part)}-shoe") if _side(part) in ("left", "right") else 0
    if kind in ("skin", "socks"):
        return ATR18.index(_skin(part, "upper-clothes"))
    return ATR18.index(_ATR[kind])


def _pascal(kind: str, part: str) -> int:
    return 0 if kind in _CARRIED else PASCAL7.index(_PASCAL[PARTS.index(part)])


def _pab(kind: str, part: str) -> int:
    if kind in _CARRIED:
        return 0
    limb = "arm" if part.endswith("arm") else "leg"
    return PAB6.index(part if part in ("head", "torso") else f"{_side(part)}-{limb}")


def _bpb(kind: str, part: str) -> int:
    return BPB8.index(part) if part.endswith("foot") and kind not in _CARRIED else _pab(kind, part)
