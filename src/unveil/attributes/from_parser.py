"""From crops and what a parser says of them to their attributes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.attributes.describe import Maps, describe
from unveil.attributes.records import Attributes
from unveil.label_sets import ATR18, LIP20, PASCAL7
from unveil.parsing.onnx_parser import Parsed

NEEDED = (LIP20.name, ATR18.name, PASCAL7.name)


def attributes_of(images: Sequence[NDArray[np.uint8]], parsed: Parsed | None) -> list[Attributes | None]:
    """Return the attributes of crops; ``None`` for all without a parser, or with one that does not tell enough.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB, of any sizes.
        parsed: what a parser says of these crops, in order.
    """
    return [None if maps is None else describe(maps) for maps in maps_of(images, parsed)]


def maps_of(images: Sequence[NDArray[np.uint8]], parsed: Parsed | None) -> list[Maps | None]:
    """Return crops at the parser's size with their labels; ``None`` where the parser does not make them."""
    if parsed is None or not parsed.parts or not set(NEEDED) <= set(parsed.schemes):
        return [None] * len(images)
    lip20, atr18, pascal7 = (parsed.in_scheme(name) for name in NEEDED)
    height, width = parsed.labels.shape[1:]
    return [
        Maps(
            np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8),
            lip20[row],
            atr18[row],
            pascal7[row],
            dict(zip(parsed.parts, parsed.visibility[row].tolist(), strict=True)),
        )
        for row, image in enumerate(images)
    ]
