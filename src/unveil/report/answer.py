"""What a ranked sheet shows: queries, their matches, and how to get the pixels; knows no method and no dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unveil.data.images import read_image, read_sample
from unveil.errors import ImageError
from unveil.records import Sample

Image = Callable[[], np.ndarray]
MISSING = (96, 48)


@dataclass(frozen=True)
class Crop:
    """A crop to show.

    Args:
        image: returns ``(H, W, 3)`` uint8 RGB; called when the crop is drawn.
        caption: short line below it, for example its camera.
    """

    image: Image
    caption: str = ""

    def pixels(self) -> np.ndarray:
        """Return the pixels; a grey cross instead of a crop that cannot be read any more."""
        try:
            return self.image()
        except ImageError:
            return _cross()


@dataclass(frozen=True)
class Match:
    """A gallery crop in a ranked list.

    Args:
        crop: what to show.
        distance: its distance to the query.
        same: whether it shows the query's person; ``None`` when one of the two is not known.
        parts: name of a vector -> distance; a vector that one of the two crops does not show is absent.
    """

    crop: Crop
    distance: float
    same: bool | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One query, of one or several crops, and its matches, nearest first; ``text`` says what there is to see."""

    queries: tuple[Crop, ...]
    matches: tuple[Match, ...]
    title: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        if not self.queries:
            raise ValueError("expected at least one query crop, got none")

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of all vectors that any match shows, in the order of their first appearance."""
        return tuple(dict.fromkeys(name for match in self.matches for name in match.parts))


def image_of(source: np.ndarray | bytes | Path) -> Image:
    """Return an image from pixels, from encoded bytes, or from a file that is read when it is drawn."""
    return (lambda: source) if isinstance(source, np.ndarray) else (lambda: read_image(source))


def crop_of(sample: Sample) -> Crop:
    """Return the crop of a sample, with its camera and time, as far as known, as the caption."""
    camera = f"camera {sample.camera}" if sample.camera is not None else ""
    time = f"{sample.time:g} s" if sample.time is not None else ""
    return Crop(lambda: read_sample(sample), ", ".join(part for part in (camera, time) if part))


def same_person(queries: Sequence[Sample], match: Sample) -> bool | None:
    """Return whether a match shows the person of the queries; ``None`` where one of them has no label."""
    persons = {sample.person for sample in (*queries, match)}
    return None if None in persons else len(persons) == 1


def _cross() -> np.ndarray:
    height, width = MISSING
    pixels = np.full((height, width, 3), 225, np.uint8)
    for row in range(height):
        column = row * width // height
        pixels[row, [column, width - 1 - column]] = 150
    return pixels
