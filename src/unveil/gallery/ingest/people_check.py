"""Is a person on a crop? By the parser's own check, or by what it takes for a person where it has none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.gallery.ingest.quality import WHOLE
from unveil.parsing.onnx_parser import OnnxParser

# Where the parser has no check of its own: the image is flat (grey levels; crops of people have from 13 on),
# the parser takes almost no pixel for a person, or few pixels and says that little of a body shows.
FLAT = 8.0
MIN_PERSON = 0.01
LITTLE_PERSON, LITTLE_BODY = 0.12, 0.42


def people_on(images: Sequence[np.ndarray], parser: OnnxParser) -> np.ndarray:
    """Return whether the parser sees a person on each crop, ``(N,)`` bool.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        parser: any human parser; what is not background counts as a person.
    """
    varied = np.array([image.mean(axis=2).std() >= FLAT for image in images], bool)
    found = parser.people(images)
    if found is not None:
        return np.asarray(varied & found)
    parsed = parser.parse(list(images))
    body = parsed.visibility[:, parsed.parts.index(WHOLE)] if WHOLE in parsed.parts else np.ones(len(images))
    person = np.array([(labels > 0).mean() for labels in parsed.labels])
    return np.asarray(varied & (person >= MIN_PERSON) & ((person >= LITTLE_PERSON) | (body >= LITTLE_BODY)))
