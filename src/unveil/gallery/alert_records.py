"""What a watch knows: who is looked for, and what was seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unveil.errors import DataError
from unveil.records import Embedding

MAX_ENTRIES = 500
MAX_CROPS = 64  # of one entry
MAX_NAME = 120


@dataclass(frozen=True, eq=False)
class WatchEntry:
    """Somebody who is looked for.

    Args:
        name: what alerts call the entry.
        embedding: ``(Q, E, D)`` numpy embedding of crops of that person.
        hash: of the query, as the audit log has it.
        gallery: that the rows are of.
        rows: for each crop the row that it is; ``None`` for an image. Empty when all are images.
    """

    name: str
    embedding: Embedding
    hash: str
    gallery: str = ""
    rows: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable():
            raise DataError(f"an entry's name has 1 to {MAX_NAME} letters that can be printed, got {self.name[:40]!r}")
        if not 0 < len(self.embedding) <= MAX_CROPS:
            raise DataError(f"{self.name}: an entry has 1 to {MAX_CROPS} images, got {len(self.embedding)}")
        if not (self.embedding.visibility > 0).any() or not np.isfinite(self.embedding.vectors).all():
            raise DataError(f"{self.name}: its images show no part of a person that can be compared")


@dataclass(frozen=True)
class Alert:
    """Somebody on the list may have been seen.

    Args:
        entry: name of the entry.
        query: hash of the entry's query.
        distance: from the entry.
        threshold: distance up to which an alert is raised.
        probability: that it is this person, by the calibration; ``None`` without one.
        camera: label of the camera.
        source: the stream or video, without a password.
        time: when the person was seen last, seconds since the epoch, or since the video began.
        frame: number of the frame of the image.
        box: x, y, width, height of the person on that frame, pixels.
        image: JPEG of the crop.
    """

    entry: str
    query: str
    distance: float
    threshold: float
    probability: float | None
    camera: str | None
    source: str
    time: float
    frame: int
    box: tuple[int, int, int, int]
    image: bytes

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without the image."""
        return {name: value for name, value in asdict(self).items() if name != "image"} | {"box": list(self.box)}
