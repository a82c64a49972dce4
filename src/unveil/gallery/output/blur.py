"""Faces blurred in what leaves the gallery: of a crop the averages of blocks are left, too large to show a face.

Above, from side to side, and around the person the blocks are large: others may stand beside the person, whose heads
the parser leaves out. Below the lowest head that it sees, the largest patch of what it takes for the person is shown in
smaller blocks, for the colours of the clothes. Smaller, not small: somebody else may stand or sit before the person,
and the parser, which learnt from rendered people, takes such a head for a coat, as it takes fences for heads. A head as
large as the person's is four blocks high at most wherever it is. Where the parser does not see one body that fills the
crop, with a head and a torso, all of the crop is in the largest blocks.
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
ACROSS, DOWN = 6, 16  # blocks of a crop that are left of it above, and around the person, at most
DOUBT_ACROSS, DOUBT_DOWN = 4, 10  # the same, where the parser is not believed
BODY_DOWN = 24  # blocks of a crop that are left of the person below, at most
HEAD_DOWN = 4  # and so many down a head of the size that the parser sees


class _Patch(NamedTuple):
    """A connected patch of a label map: first and last row, area in pixels."""

    first: int
    last: int
    area: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.last - self.first + 1


class _Shown(NamedTuple):
    """What of a crop is shown in smaller blocks: the person from a row on, and how wide the blocks are in pixels."""

    top: int
    block: float


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
        parser: finds heads and torsos (label set lip20); ``None`` blurs every crop as one in doubt.
    """
    if parser is None or not images:
        return [_hidden(image, None, shown=None) for image in images]
    found = parser(list(images))
    return [_hidden(image, labels, shown=_shown(labels, parser)) for image, labels in zip(images, found, strict=True)]


def _shown(labels: np.ndarray, parser: OnnxParser) -> _Shown | None:
    """Return what of a crop is shown in smaller blocks; ``None`` where one whole person is not sure to be seen."""
    height = len(labels)
    heads, torsos = _patches(_mask(labels, HEAD, parser=parser)), _patches(_mask(labels, TORSO, parser=parser))
    body = max(_patches(labels > 0), key=lambda patch: patch.area, default=None)
    if body is None or not heads or not torsos:
        return None
    fills = (
        body.first <= LOWEST_TOP * height
        and body.last >= HIGHEST_BOTTOM * height
        and body.area >= MIN_BODY * labels.size
    )
    if not fills or not SMALLEST * labels.size <= sum(head.area for head in heads) <= LARGEST * labels.size:
        return None
    top = TOP if body.first <= CLOSE * height else LOOSE_TOP
    below = max(head.last + MARGIN * head.height for head in heads)
    lowest = max(top * height, below, *(torso.first for torso in torsos))
    tallest = max(head.height for head in heads)
    return _Shown(min(height, round(lowest) + 1), max(height / BODY_DOWN, tallest / HEAD_DOWN))


def _mask(labels: np.ndarray, names: Sequence[str], *, parser: OnnxParser) -> np.ndarray:
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


def _hidden(image: np.ndarray, labels: np.ndarray | None, *, shown: _Shown | None) -> np.ndarray:
    """Return the crop as averages of blocks: small ones on the person below ``shown.top``, large ones elsewhere."""
    height, width = image.shape[:2]
    if labels is None or shown is None or shown.top >= height:
        return _averaged(image, max(width / DOUBT_ACROSS, height / DOUBT_DOWN))
    block = max(width / ACROSS, height / DOWN)
    # Apart, so that no block above takes part of what is shown below, nor the other way round.
    out = np.concatenate([_averaged(part, block) for part in np.split(image, [shown.top])])
    person = _largest(labels > 0)[shown.top :]
    out[shown.top :][person] = _averaged(image[shown.top :], shown.block)[person]
    return out


def _averaged(image: np.ndarray, block: float) -> np.ndarray:
    """Return an image of whose square blocks the averages are left, ``block`` pixels wide at least."""
    height, width = image.shape[:2]
    size = max(1, int(width / block)), max(1, int(height / block))
    blocks = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(blocks, (width, height), interpolation=cv2.INTER_LINEAR))
