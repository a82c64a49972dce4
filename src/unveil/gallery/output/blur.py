"""Faces blurred in what leaves the gallery: a crop from its top to below the lowest head, and the whole of it in doubt.

The blur goes from side to side because others may stand beside the person, whose heads the parser leaves out. Others
may also stand or sit before the person, their heads farther down: below the blur only the largest patch of what the
parser takes for the person is shown, and all else is blurred too. The parser that comes with the package learnt from
rendered people and takes fences and gravel for heads. So it is believed only where one body fills the crop with a head
and a torso on it, and even then half of the crop is blurred, and more of one that is not cut close to the body:
detectors that cut loosely put heads down there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from unveil.errors import MissingExtraError
from unveil.parsing.default import default_parser
from unveil.parsing.onnx_parser import OnnxParser

HEAD = ("face", "hair", "hat", "sunglasses", "head")
TORSO = ("upper-clothes", "dress", "coat", "jumpsuits", "scarf", "torso")
TOP = 0.5  # share of the crop's height that is blurred at least
LOOSE_TOP = 0.56  # the same, where the body begins below `CLOSE`
CLOSE = 0.07  # share of the height above the body of a crop that is cut close to it
LOWEST_TOP, HIGHEST_BOTTOM = 0.4, 0.75  # where the body of one person who fills the crop begins and ends
MIN_BODY = 0.15  # share of the crop that this body covers
LARGEST = 0.35  # what covers a larger share of the crop is no head
SMALLEST = 0.005  # share of the crop that a head covers at least, all heads together
SPECK = 0.001  # share of the crop below which a patch is noise
MARGIN = 0.35  # of a head's height, added below it
BLOCKS = 6  # what is left: so many blocks across


class _Patch(NamedTuple):
    """A connected patch of a label map: first and last row, area in pixels."""

    first: int
    last: int
    area: int


def face_parser() -> OnnxParser | None:
    """Return the package's own parser; ``None`` where ONNX Runtime is not installed."""
    try:
        return default_parser()
    except MissingExtraError:
        return None


def blur_faces(images: Sequence[np.ndarray], parser: OnnxParser | None) -> list[np.ndarray]:
    """Return crops of people ``(H, W, 3)`` uint8 with their faces unrecognisable; the arguments are not changed.

    Args:
        images: crops, of any sizes.
        parser: finds heads and torsos (label set lip20); ``None`` blurs the whole of every crop.
    """
    labels = [None] * len(images) if parser is None or not images else [*parser(list(images))]
    return [_blurred(image, found, _bottom(image, found, parser)) for image, found in zip(images, labels, strict=True)]


def _bottom(image: np.ndarray, labels: np.ndarray | None, parser: OnnxParser | None) -> int:
    """Return down to which row a crop is blurred."""
    height = len(image)
    if labels is None or parser is None:
        return height
    heads, torsos = _patches(_mask(labels, HEAD, parser)), _patches(_mask(labels, TORSO, parser))
    body = max(_patches(labels > 0), key=lambda patch: patch.area, default=None)
    if body is None or not heads or not torsos:
        return height
    fills = (
        body.first <= LOWEST_TOP * height
        and body.last >= HIGHEST_BOTTOM * height
        and body.area >= MIN_BODY * labels.size
    )
    if not fills or not SMALLEST * labels.size <= sum(head.area for head in heads) <= LARGEST * labels.size:
        return height
    top = TOP if body.first <= CLOSE * height else LOOSE_TOP
    below = max(head.last + MARGIN * (head.last - head.first + 1) for head in heads)
    lowest = max(top * height, below, *(torso.first for torso in torsos))
    return min(height, round(lowest) + 1)


def _mask(labels: np.ndarray, names: Sequence[str], parser: OnnxParser) -> np.ndarray:
    return np.isin(labels, [parser.scheme.index(name) for name in names if name in parser.scheme.labels])


def _patches(mask: np.ndarray) -> list[_Patch]:
    """Return the connected patches of a mask that are no specks."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = [_Patch(int(y), int(y + h - 1), int(area)) for _, y, _, h, area in boxes[1:count]]
    return [patch for patch in found if patch.area >= SPECK * mask.size]


def _largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected patch of a mask; nothing where it is empty."""
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    sizes = boxes[1:, cv2.CC_STAT_AREA]
    return numbers == 1 + sizes.argmax() if len(sizes) else mask


def _blurred(image: np.ndarray, labels: np.ndarray | None, bottom: int) -> np.ndarray:
    """Return the crop with what is above ``bottom``, and what is below and not of the person, as blurred blocks."""
    height, width = image.shape[:2]
    # Blocks first: a blur alone can be undone in part, averages of blocks cannot.
    across = min(BLOCKS, width)
    out = np.empty_like(image)
    # Apart, so that no block above takes part of what is shown below, nor the other way round.
    for top, end in ((0, bottom), (bottom, height)):
        if end > top:
            down = max(1, min(end - top, round(across * (end - top) / width)))
            blocks = cv2.resize(image[top:end], (across, down), interpolation=cv2.INTER_AREA)
            out[top:end] = cv2.resize(blocks, (width, end - top), interpolation=cv2.INTER_LINEAR)
    if labels is not None and bottom < height:
        person = _largest(labels > 0)[bottom:]
        out[bottom:][person] = image[bottom:][person]
    return out
