"""Faces blurred in what leaves the gallery: where the parser sees a head, else the top of the crop; never nothing.

The parser that comes with the package learnt from rendered people. What it finds is taken only where a head can be;
where it finds one elsewhere, both are blurred.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from unveil.errors import MissingExtraError
from unveil.parsing.onnx_parser import OnnxParser

HEAD = ("face", "hair", "hat", "sunglasses")
TOP = 0.28  # share of the crop's height that is blurred where no head is found
LOWEST = 0.5  # a head whose middle is below this share of the height is none
LARGEST = 0.35  # nor one that covers a larger share of the crop
SMALLEST = 0.005
MARGIN = 0.35  # of the head's height and width, added on each side
BLOCKS = 4  # what is left of a face: so many blocks across


def face_parser() -> OnnxParser | None:
    """Return the package's own parser; ``None`` where ONNX Runtime is not installed."""
    from unveil.parsing.default import default_parser

    try:
        return default_parser()
    except MissingExtraError:
        return None


def blur_faces(images: Sequence[np.ndarray], parser: OnnxParser | None) -> list[np.ndarray]:
    """Return crops of people ``(H, W, 3)`` uint8 with their faces unrecognisable; the arguments are not changed.

    Args:
        images: crops, of any sizes.
        parser: finds heads (label set lip20); ``None`` blurs the top of every crop.
    """
    labels = [None] * len(images) if parser is None or not images else [*parser(list(images))]
    return [_blurred(image, _regions(image, found, parser)) for image, found in zip(images, labels, strict=True)]


def _regions(image: np.ndarray, labels: np.ndarray | None, parser: OnnxParser | None) -> list[tuple[slice, slice]]:
    height, width = image.shape[:2]
    top = slice(0, max(1, round(TOP * height))), slice(0, width)
    if labels is None or parser is None:
        return [top]
    wanted = [parser.scheme.index(name) for name in HEAD if name in parser.scheme.labels]
    if "head" in parser.scheme.labels:
        wanted.append(parser.scheme.index("head"))
    found = np.isin(labels, wanted)
    if not found.any():
        return [top]
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    seen = _widened(rows, height), _widened(columns, width)
    plausible = SMALLEST * found.size <= found.sum() <= LARGEST * found.size
    return [seen] if plausible and np.nonzero(found)[0].mean() <= LOWEST * height else [top, seen]


def _widened(places: np.ndarray, limit: int) -> slice:
    first, last = int(places[0]), int(places[-1]) + 1
    margin = int(np.ceil(MARGIN * (last - first)))
    return slice(max(0, first - margin), min(limit, last + margin))


def _blurred(image: np.ndarray, regions: list[tuple[slice, slice]]) -> np.ndarray:
    out = image.copy()
    for region in regions:
        height, width = out[region].shape[:2]
        # Blocks first: a blur alone can be undone in part, averages of blocks cannot.
        across = min(BLOCKS, width)
        down = max(1, min(height, round(across * height / width)))
        blocks = cv2.resize(out[region], (across, down), interpolation=cv2.INTER_AREA)
        out[region] = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_LINEAR)
    return out
