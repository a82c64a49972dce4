"""Pictures of a query: read, cut to a box, and refused when nobody is on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.errors import DataError
from unveil.gallery.ingest.quality import WHOLE, without_hidden
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.parsing.person_check import FEATURES, person_features
from unveil.records import Embedding

MIN_PIXELS = 8  # of the shorter side of a crop
# Where the parser's card has no rule of its own: the picture is flat (grey levels; crops of people have from 13 on),
# the parser takes almost no pixel for a person, or few pixels and says that little of a body shows.
FLAT = 8.0
MIN_PERSON = 0.01
LITTLE_PERSON, LITTLE_BODY = 0.12, 0.42

NOBODY = "{}: no person is seen on it; choose another picture, or draw a box around someone"

Box = tuple[int, int, int, int]


class NoPersonDetectedError(DataError):
    """No person is seen on a picture of a query; whoever knows better may search with it anyway."""


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


def cut(image: np.ndarray, box: Box | None, name: str = "the picture") -> np.ndarray:
    """Return the part of a picture ``(H, W, 3)`` that a box covers; the whole for ``None``.

    Raises:
        DataError: too little of the box lies on the picture.
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


def check_people(images: Sequence[np.ndarray], names: Sequence[str], parser: OnnxParser) -> None:
    """Refuse crops on which the parser sees nobody.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        names: what errors call them.
        parser: any human parser; what is not background counts as a person.

    Raises:
        NoPersonDetectedError: names the first picture without a person.
    """
    for name, is_person in zip(names, people_on(images, parser), strict=True):
        if not is_person:
            raise NoPersonDetectedError(NOBODY.format(name))


def people_on(images: Sequence[np.ndarray], parser: OnnxParser) -> np.ndarray:
    """Return whether the parser sees a person on each crop, ``(N,)`` bool.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        parser: any human parser; what is not background counts as a person.
    """
    varied = np.array([image.mean(axis=2).std() >= FLAT for image in images], bool)
    rule = parser.card.person_check
    if rule is not None:
        scores = person_features(images, parser) @ np.array([rule.weights[name] for name in FEATURES]) + rule.bias
        return np.asarray(varied & (scores >= rule.threshold))
    parsed = parser.parse(list(images))
    body = parsed.visibility[:, parsed.parts.index(WHOLE)] if WHOLE in parsed.parts else np.ones(len(images))
    person = np.array([(labels > 0).mean() for labels in parsed.labels])
    return np.asarray(varied & (person >= MIN_PERSON) & ((person >= LITTLE_PERSON) | (body >= LITTLE_BODY)))


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
        check_people(images, names, parser)
    return without_hidden(engine.embed(images), images, parser)
