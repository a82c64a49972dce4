"""The display matrix of a video: which way up, and mirrored or not, its frames are shown."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from unveil.video.records import Image

MIN_SHARE = 0.9  # of a column of the matrix that its largest entry must hold: quarter turns and mirrors alone


def upright(image: Image, matrix: bytes | None) -> Image:
    """Return a decoded frame as a player shows it.

    Args:
        image: ``(H, W, 3)`` uint8 RGB as decoded.
        matrix: nine 32-bit fixed-point numbers in native byte order, as FFmpeg gives them (ISO/IEC 14496-12, §8.3.2);
            ``None`` for a video without one.

    Returns:
        ``(H, W, 3)``, or ``(W, H, 3)`` after a quarter turn. Other angles, which cameras do not write, change nothing.
    """
    if matrix is None or len(matrix) < 20:
        return image
    a, b, _, c, d = struct.unpack("=5i", matrix[:20])
    # A pixel (x, y) is shown at (a x + c y, b x + d y): the signs mirror, the off-diagonal swaps the axes.
    straight, swapped = abs(a) + abs(d), abs(b) + abs(c)
    if max(straight, swapped) < MIN_SHARE * (straight + swapped) or straight == swapped:
        return image
    across, down = (a, d) if straight > swapped else (c, b)
    turned = image if straight > swapped else image.transpose(1, 0, 2)
    return np.ascontiguousarray(turned[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def matrix_of(frame: Any) -> bytes | None:
    """Return the display matrix of a decoded frame; ``None`` when it has none."""
    found = frame.side_data.get("DISPLAYMATRIX")
    return None if found is None else bytes(found)
