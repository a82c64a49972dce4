"""Images of a query: read, cut to a box, and refused when nobody is on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.gallery.ingest.people_check import people_on
from unveil.gallery.ingest.quality import without_occluded
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Embedding

MIN_PIXELS = 8  # of the shorter side of a crop

NOBODY = "{}: no person is seen on it; choose another image, or draw a box around someone"

Box = tuple[int, int, int, int]


class NoPersonDetectedError(DataError):
    """No person is seen on an image of a query; whoever knows better may skip the check."""


def read_box(text: str) -> Box:
    """Return the box that a text means.

    Args:
        text: ``x,y,width,height`` in pixels.

    Raises:
        DataError: it means none.
    """
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise DataError(f"a box is x,y,width,height in pixels, for example 120,40,64,160; got {text!r}") from None
    if min(width, height) < 1 or max(abs(x), abs(y), width, height) > 1_000_000:
        raise DataError(f"the box {text} is empty or too large")
    return x, y, width, height


def cut(image: np.ndarray, box: Box | None, *, name: str = "the image") -> np.ndarray:
    """Return the part of an image ``(H, W, 3)`` that a box covers; the whole for ``None``.

    Raises:
        DataError: too little of the box lies on the image.
    """
    height, width = image.shape[:2]
    x, y, w, h = box or (0, 0, width, height)
    out = image[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)]
    if min(out.shape[:2]) < MIN_PIXELS:
        raise DataError(
            f"{name} of {width} x {height} pixels: {out.shape[1]} x {out.shape[0]} are left to look at, a person needs "
            f"at least {MIN_PIXELS} a side"
        )
    return out


def check_people(images: Sequence[np.ndarray], names: Sequence[str], *, parser: OnnxParser) -> None:
    """Refuse crops on which the parser sees nobody.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        names: what errors call them.
        parser: any human parser; what is not background counts as a person.

    Raises:
        NoPersonDetectedError: names the first image without a person.
    """
    for name, is_person in zip(names, people_on(images, parser), strict=True):
        if not is_person:
            raise NoPersonDetectedError(NOBODY.format(name))


def embed_person(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    engine: Engine,
    parser: OnnxParser | None,
    skip_person_check: bool = False,
) -> Embedding:
    """Return the embedding of the crops of a query; parts that the parser does not see do not count.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        names: what errors call them.
        engine: embeds them.
        parser: says whether a person is on them, and which parts show; ``None`` takes every crop and every part.
        skip_person_check: take crops on which no person is detected.

    Raises:
        NoPersonDetectedError: no person is detected on a crop; names the first.
    """
    if parser is not None and not skip_person_check:
        check_people(images, names, parser=parser)
    return without_occluded(engine.embed(images), images, parser=parser)
