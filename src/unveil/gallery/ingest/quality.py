"""The quality score of a crop: its size and sharpness, what the frame or others cut, and what shows of the body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from unveil.errors import MissingExtraError
from unveil.parsing.default import default_parser
from unveil.parsing.onnx_parser import OnnxParser, Parsed
from unveil.records import Embedding
from unveil.video.records import Box, Image

FULL_HEIGHT = 128  # pixels of a person from which more bring nothing to a model
SHARP = 150.0  # variance of the Laplacian at which a crop counts as half sharp
CUT = 0.7  # factor of the quality score for each side of the frame that cuts it
WHOLE = "body"  # what the parser calls the share of the whole body
# Share of a part that must show for it to count. On test people of world:small the parser then calls occluded 63 % of
# the legs of which less than a tenth shows, and 1 % of those that show (arms: 8 %, and under 1 %).
MIN_SHOWN = 0.3


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality score of a crop in [0, 1], and the visible share of the body in [0, 1], ``None`` without a parser."""

    score: float
    visible: float | None = None


def image_quality(image: Image) -> float:
    """Return the quality score of a crop ``(H, W, 3)`` uint8 by its size and its sharpness alone, in [0, 1]."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    # At one size, so that a large blurred crop is not taken for a sharp one.
    small = cv2.resize(grey, (FULL_HEIGHT // 2, FULL_HEIGHT), interpolation=cv2.INTER_AREA)
    sharpness = float(cv2.Laplacian(small, cv2.CV_64F).var())
    size = min(1.0, height / FULL_HEIGHT) * min(1.0, 3 * width / FULL_HEIGHT)
    return float(np.sqrt(size * sharpness / (sharpness + SHARP)))


def framing_quality(box: tuple[int, int, int, int], others: Sequence[Box], *, width: int, height: int) -> float:
    """Return the factor in [0, 1] by which its place in the frame lowers the quality score of a crop.

    Args:
        box: x, y, width, height in pixels of the frame.
        others: the other people of the frame; those whose feet are lower stand before this one.
        width: of the frame, pixels.
        height: of the frame, pixels.
    """
    x, y, w, h = box
    cut = (x <= 1) + (y <= 1) + (x + w >= width - 1) + (y + h >= height - 1)
    covered = 0.0
    for other in others:
        if other.y + other.h > y + h:
            across = min(x + w, other.x + other.w) - max(x, other.x)
            down = min(y + h, other.y + other.h) - max(y, other.y)
            covered = max(covered, max(0.0, across) * max(0.0, down) / (w * h))
    return CUT**cut * (1 - covered)


def looked_at(images: Sequence[Image], parser: OnnxParser | None) -> Parsed | None:
    """Return what a parser says of crops ``(H, W, 3)`` uint8 RGB; ``None`` without one, and for no crops."""
    return None if parser is None or not images else parser.parse(images)


def body_shares(parsed: Parsed | None, count: int) -> list[float | None]:
    """Return how much of the body each of ``count`` crops shows, in [0, 1]; ``None`` where no parser tells."""
    if parsed is None or WHOLE not in parsed.parts:
        return [None] * count
    return [float(share) for share in np.clip(parsed.visibility[:, parsed.parts.index(WHOLE)], 0, 1)]


def without_occluded(embedding: Embedding, images: Sequence[Image], *, parser: OnnxParser | None) -> Embedding:
    """Return the embedding of crops so that parts which the parser takes for occluded do not count.

    Vectors with other names than the parser's parts, and all of them without a parser, stay as visible as they were.

    Args:
        embedding: of N crops.
        images: these crops, ``(H, W, 3)`` uint8 RGB.
        parser: one that tells how much of each part shows.
    """
    if parser is None or not images or not _told(embedding, parser.parts):
        return embedding
    return without_occluded_parts(embedding, parser.parse(images))


def without_occluded_parts(embedding: Embedding, parsed: Parsed | None) -> Embedding:
    """Return the same as `without_occluded`, by what a parser said of the crops before."""
    told = [] if parsed is None else _told(embedding, parsed.parts)
    if parsed is None or not told:
        return embedding
    shares = parsed.visibility[:, [parsed.parts.index(embedding.names[e]) for e in told]]
    visibility = np.array(embedding.visibility)
    visibility[:, told] *= shares >= MIN_SHOWN
    return replace(embedding, visibility=visibility)


def _told(embedding: Embedding, parts: Sequence[str]) -> list[int]:
    """Return which vectors are of parts that a parser tells the visible share of."""
    return [e for e, name in enumerate(embedding.names) if name in parts and name != WHOLE]


def measure(images: Sequence[Image], parsed: Parsed | None) -> list[Quality]:
    """Return the quality of crops ``(H, W, 3)`` uint8 RGB, of any sizes, by what a parser says of them."""
    shares = body_shares(parsed, len(images))
    return [combined_quality(image_quality(image), shown) for image, shown in zip(images, shares, strict=True)]


def combined_quality(score: float, visible: float | None) -> Quality:
    """Return the quality of a crop whose image has that score and which shows that share of the body."""
    return Quality(score if visible is None else score * visible, visible)


def find_parser(threads: int = 0) -> OnnxParser | None:
    """Return the package's own parser; ``None`` where ONNX Runtime is not installed."""
    try:
        return default_parser(threads)
    except MissingExtraError:
        return None
