"""Faces blurred in what leaves the gallery: a strip across the crop, as low as the parser sees a head; never nothing.

The strip goes from side to side because others may stand beside the person, whose heads the parser leaves out. The
parser that comes with the package learnt from rendered people: where it finds no head, or a small one, or one at the
very top, the strip is as low as the heads of most crops.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from unveil.errors import MissingExtraError
from unveil.parsing.default import default_parser
from unveil.parsing.onnx_parser import OnnxParser

HEAD = ("face", "hair", "hat", "sunglasses", "head")
TOP = 0.28  # share of the crop's height that is blurred at least
LARGEST = 0.35  # what covers a larger share of the crop is no head
SMALLEST = 0.005
MARGIN = 0.35  # of the head's height, added below it
BLOCKS = 6  # what is left: so many blocks across


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
        parser: finds heads (label set lip20); ``None`` blurs the top of every crop.
    """
    labels = [None] * len(images) if parser is None or not images else [*parser(list(images))]
    return [_blurred(image, _bottom(image, found, parser)) for image, found in zip(images, labels, strict=True)]


def _bottom(image: np.ndarray, labels: np.ndarray | None, parser: OnnxParser | None) -> int:
    """Return down to which row a crop is blurred."""
    height = len(image)
    top = max(1, round(TOP * height))
    if labels is None or parser is None:
        return top
    wanted = [parser.scheme.index(name) for name in HEAD if name in parser.scheme.labels]
    found = np.isin(labels, wanted)
    if not SMALLEST * found.size <= found.sum() <= LARGEST * found.size:
        return top
    # Specks elsewhere and long hair do not count: the head is where most of it is.
    rows = np.nonzero(found)[0]
    first, last = np.quantile(rows, (0.02, 0.98))
    return max(top, min(height, round(last + MARGIN * (last - first)) + 1))


def _blurred(image: np.ndarray, bottom: int) -> np.ndarray:
    out = image.copy()
    width = image.shape[1]
    # Blocks first: a blur alone can be undone in part, averages of blocks cannot.
    across = min(BLOCKS, width)
    down = max(1, min(bottom, round(across * bottom / width)))
    blocks = cv2.resize(out[:bottom], (across, down), interpolation=cv2.INTER_AREA)
    out[:bottom] = cv2.resize(blocks, (width, bottom), interpolation=cv2.INTER_LINEAR)
    return out
