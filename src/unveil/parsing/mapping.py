"""Maps between label sets: look-up tables, and a left/right split where the source does not tell the sides apart.

CRE's groups come from ATR; PAB's parts come from PifPaf, and from any other parser as a fallback. Where a source is
coarser than its target, the choice made is written beside the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError
from unveil.label_sets import CRE7, CRE7_ERASED, PAB6, SCHEMES, WORN14, get_scheme

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Sided:
    """Labels of a source that must be split into a left and a right target.

    Args:
        labels: source labels to split.
        left: target label on the person's left.
        right: target label on the person's right.
        left_anchors: source labels known to be on the left; a pixel goes to the side of its nearest anchor.
        right_anchors: source labels known to be on the right.
    """

    labels: tuple[int, ...]
    left: int
    right: int
    left_anchors: tuple[int, ...] = ()
    right_anchors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Conversion:
    """Target label of each source label, and the labels that are split by side."""

    table: tuple[int, ...]
    sided: tuple[Sided, ...] = ()


# Index = source label. A 0 in a column that `sided` names is filled by the split.
CONVERSIONS: dict[tuple[str, str], Conversion] = {
    # Bag, scarf, belt and skirt fall where they do without effect on what is erased.
    ("atr18", "cre7"): Conversion((0, 1, 1, 1, 2, 3, 3, 4, 3, 6, 6, 1, 6, 6, 5, 5, 2, 2)),
    # Gloves belong to the arm and socks to the lower limbs: ATR has neither. A jumpsuit is a dress: one whole garment.
    ("lip20", "cre7"): Conversion((0, 1, 1, 5, 1, 2, 4, 2, 6, 3, 4, 2, 3, 1, 5, 5, 6, 6, 6, 6)),
    # Body parts instead of garments: upper legs stand for bottoms, lower legs for lower limbs.
    ("pascal7", "cre7"): Conversion((0, 1, 2, 5, 5, 3, 6)),
    # PAB's legs include trousers; what is worn on them is erased, so they are bottoms.
    ("pab6", "cre7"): Conversion((0, 1, 5, 5, 2, 3, 3)),
    ("bpb8", "cre7"): Conversion((0, 1, 5, 5, 2, 3, 3, 6, 6)),
    ("ps6", "cre7"): Conversion((0, 1, 2, 3, 5, 6)),
    ("worn14", "pab6"): Conversion((0, 1, 2, 3, 4, 5, 6) * 2),
    # Which garment it was is lost; a bare torso is skin, as an arm is.
    ("worn14", "cre7"): Conversion((0, 1, 5, 5, 5, 6, 6, 2, 2, 2, 2, 2, 3, 3)),
    # The fallback for PAB where there are no PifPaf fields.
    ("lip20", "pab6"): Conversion(
        (0, 1, 1, 0, 1, 4, 4, 4, 0, 0, 4, 4, 0, 1, 2, 3, 5, 6, 5, 6),
        (Sided((8, 9, 12), 5, 6, (16, 18), (17, 19)), Sided((3,), 2, 3, (14,), (15,))),
    ),
    ("atr18", "pab6"): Conversion(
        (0, 1, 1, 1, 4, 0, 0, 4, 4, 5, 6, 1, 5, 6, 2, 3, 0, 4),
        (Sided((5, 6), 5, 6, (9, 12), (10, 13)),),
    ),
    ("bpb8", "pab6"): Conversion((0, 1, 2, 3, 4, 5, 6, 5, 6)),
    # Feet are shoes, and socks, which are next to them.
    ("lip20", "bpb8"): Conversion(
        (0, 1, 1, 0, 1, 4, 4, 4, 0, 0, 4, 4, 0, 1, 2, 3, 5, 6, 7, 8),
        (
            Sided((9, 12), 5, 6, (16, 18), (17, 19)),
            Sided((8,), 7, 8, (16, 18), (17, 19)),
            Sided((3,), 2, 3, (14,), (15,)),
        ),
    ),
    ("atr18", "bpb8"): Conversion(
        (0, 1, 1, 1, 4, 0, 0, 4, 4, 7, 8, 1, 5, 6, 2, 3, 0, 4),
        (Sided((5, 6), 5, 6, (9, 12), (10, 13)),),
    ),
    ("pascal7", "pab6"): Conversion((0, 1, 4, 0, 0, 0, 0), (Sided((3, 4), 2, 3), Sided((5, 6), 5, 6))),
    ("cre7", "pab6"): Conversion((0, 1, 4, 0, 4, 0, 0), (Sided((5,), 2, 3), Sided((3, 6), 5, 6))),
    ("ps6", "pab6"): Conversion((0, 1, 4, 0, 0, 0), (Sided((4,), 2, 3), Sided((3, 5), 5, 6))),
    # ATR has no socks, gloves, coats or jumpsuits: leg, arm, upper-clothes, dress.
    ("lip20", "atr18"): Conversion(
        (0, 1, 2, 0, 3, 4, 7, 4, 0, 6, 7, 17, 5, 11, 14, 15, 12, 13, 9, 10),
        (Sided((8,), 12, 13, (16, 18), (17, 19)), Sided((3,), 14, 15, (14,), (15,))),
    ),
    # Clothing labels do not tell upper from lower limbs: bare arms count as lower arms, pants and skirt as upper legs.
    ("lip20", "pascal7"): Conversion((0, 1, 1, 4, 1, 2, 2, 2, 6, 5, 2, 2, 5, 1, 4, 4, 6, 6, 6, 6)),
    ("atr18", "pascal7"): Conversion((0, 1, 1, 1, 2, 5, 5, 2, 2, 6, 6, 1, 6, 6, 4, 4, 0, 2)),
}


def map_labels(labels: Labels, source: str, *, target: str) -> Labels:
    """Translate a parsing map ``(H, W)`` from one label set to another.

    Raises:
        DataError: there is no sensible mapping from ``source`` to ``target``.
    """
    if source == target:
        return labels
    if target == WORN14.name:
        return worn_parts(map_labels(labels, source, target=PAB6.name), map_labels(labels, source, target=CRE7.name))
    conversion = _conversion(source, target)
    table = np.zeros(256, dtype=np.uint8)
    table[: len(conversion.table)] = conversion.table
    mapped = table[labels]
    for sided in conversion.sided:
        mask = np.isin(labels, sided.labels)
        if mask.any():
            mapped[mask] = np.where(_on_left(labels, mask, sided=sided, source=source)[mask], sided.left, sided.right)
    return mapped


def worn_parts(parts: Labels, regions: Labels) -> Labels:
    """Return the map in worn14 of a map in pab6 and one in cre7, of any one shape."""
    return parts + np.uint8(len(PAB6.labels)) * np.isin(regions, CRE7_ERASED).astype(np.uint8)


def targets(source: str) -> tuple[str, ...]:
    """Return the label sets that a source can be translated to, itself first."""
    get_scheme(source)
    found = (source, *(target for start, target in CONVERSIONS if start == source))
    return found if source == WORN14.name else (*found, WORN14.name)


def _conversion(source: str, target: str) -> Conversion:
    for name in (source, target):
        get_scheme(name)
    if (source, target) not in CONVERSIONS:
        raise DataError(f"parsing of scheme {source!r} cannot become {target!r}; it can become {targets(source)}")
    return CONVERSIONS[source, target]


def _on_left(labels: Labels, mask: NDArray[np.bool_], *, sided: Sided, source: str) -> NDArray[np.bool_]:
    left, right = np.isin(labels, sided.left_anchors), np.isin(labels, sided.right_anchors)
    if left.any() and right.any():
        return _distance_to(left) <= _distance_to(right)
    # Without a leg or shoe on both sides, the vertical midline splits; which half is the person's left is read off
    # any other left/right pair, else the person is taken to face the camera (left on the image's right).
    columns = np.arange(labels.shape[1])
    covered = columns[mask.any(axis=0)]
    midline = (covered[0] + covered[-1]) / 2
    right_half = np.broadcast_to(columns > midline, labels.shape)
    return right_half if _left_is_on_the_right(labels, source) else ~right_half


def _left_is_on_the_right(labels: Labels, source: str) -> bool:
    pairs = SCHEMES[source].swaps
    left = np.nonzero(np.isin(labels, [pair[0] for pair in pairs]))[1]
    right = np.nonzero(np.isin(labels, [pair[1] for pair in pairs]))[1]
    return bool(not left.size or not right.size or left.mean() >= right.mean())


def _distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)
