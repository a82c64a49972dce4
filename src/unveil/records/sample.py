"""Sample: one person crop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unveil.errors import DataError

if TYPE_CHECKING:
    pass

Split = Literal["train", "query", "gallery"]
SPLITS: tuple[Split, ...] = ("train", "query", "gallery")
LABEL_COLUMNS = ("person", "camera", "clothes", "tracklet")


@dataclass(frozen=True, slots=True)
class Sample:
    """One person crop.

    Args:
        key: name that is unique in its dataset, normally the path relative to the dataset's root, with "/".
        path: image file, or ``None`` when ``data`` holds the encoded bytes.
        data: encoded image bytes (JPEG, PNG, ...), or ``None``.
        person: identity label. ``None``: unknown.
        camera: camera label.
        clothes: outfit label; unique over the whole dataset (two people never share one).
        time: seconds since the epoch or since the recording began.
        tracklet: label of the track that the crop was taken from.
        parsing: path of the human-parsing map (8-bit, pixel value = label).
        split: "train", "query", "gallery", or ``None`` when the source has no split.
        extra: further columns of the source, as text (for example ``visible``, the visible fraction in [0, 1]).
    """

    key: str
    path: Path | None = None
    data: bytes | None = None
    person: str | None = None
    camera: str | None = None
    clothes: str | None = None
    time: float | None = None
    tracklet: str | None = None
    parsing: Path | None = None
    split: Split | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise DataError(f"sample {self.key!r}: expected either a path or bytes, got both or neither")
        if self.split is not None and self.split not in SPLITS:
            raise DataError(f"sample {self.key!r}: split must be one of {', '.join(SPLITS)}, got {self.split!r}")

    def column(self, name: str) -> str | float | None:
        """Return a label or an extra column by name; ``None`` when the source does not know it."""
        return getattr(self, name) if name in _SAMPLE_COLUMNS else self.extra.get(name)


_SAMPLE_COLUMNS = frozenset((*LABEL_COLUMNS, "time", "split", "key"))
