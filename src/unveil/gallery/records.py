"""What a gallery holds and what is asked of it; plain records, no database and no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from unveil.attributes.records import Attributes
from unveil.attributes.wanted import Wanted, wanted_of
from unveil.errors import DataError
from unveil.models.summary import ModelIdentity
from unveil.records import Embedding, Metric

FIRST_DATE = 1e8  # seconds below this count from the start of a recording
LAST_DATE = 2.5e11  # about the year 9892, beyond which there are no dates
Kind = Literal["crop", "tracklet"]
Rows = Literal["crop", "tracklet"]
Mode = Literal["same", "changed"]


@dataclass(frozen=True)
class EmbeddingSpace:
    """The embedding space of a gallery: what a query must come from to be comparable.

    Args:
        fingerprint: of the model (16 hex digits); see `unveil.models.card.Card`.
        names: names of the E vectors.
        dimension: D, numbers in each vector.
        metric: per-vector distance.
        weights: E constants; all 1 when empty.
        input: preprocessing of the model, as its card has it.
        model: name of the model that the gallery was made with; "" in galleries from before names were kept.
        licence: of its weights.
        source: path or name of its weights, where a gallery was switched to it; "" elsewhere.
    """

    fingerprint: str
    names: tuple[str, ...]
    dimension: int
    metric: Metric = "cosine"
    weights: tuple[float, ...] = ()
    input: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    licence: str = ""
    source: str = ""

    @property
    def identity(self) -> ModelIdentity:
        """The model, as answers name it."""
        return ModelIdentity(self.fingerprint, self.model, self.licence)

    def check_model(self, fingerprint: str) -> None:
        """Refuse another model.

        Raises:
            DataError: it has another fingerprint.
        """
        if fingerprint != self.fingerprint:
            name = f" ({self.model})" if self.model else ""
            raise DataError(
                f"embedded by model {fingerprint}, the gallery by {self.fingerprint}{name}: "
                "use the gallery's model, or index the gallery again with this one"
            )

    def check(self, embedding: Embedding, fingerprint: str) -> None:
        """Refuse an embedding of another model.

        Raises:
            DataError: another fingerprint, other names or another length of the vectors.
        """
        self.check_model(fingerprint)
        if (embedding.names, embedding.vectors.shape[2]) != (self.names, self.dimension):
            raise DataError(
                f"expected vectors {self.names} of {self.dimension} numbers, "
                f"got {embedding.names} of {embedding.vectors.shape[2]}"
            )


@dataclass(frozen=True, slots=True)
class Item:
    """One row of a gallery: a crop, or a tracklet with its best crop as the image.

    Args:
        key: unique in its gallery, made from content: SHA-256 hex of an image file; of video, frame and box for a
            crop of a video; of video and track for a tracklet.
        kind: "crop" or "tracklet".
        thumbnail: JPEG of the (best) crop, longest side at most 384 pixels.
        source: path or address of the image or video that it came from.
        camera: camera label.
        time: seconds since the epoch or since the recording began; a tracklet's first timestamp.
        end: a tracklet's last timestamp, in the same unit; ``None`` for a crop.
        person: identity label that the source gave, if any.
        tracklet: key of the tracklet that a crop belongs to.
        frame: number of the frame in a video, from 0.
        box: x, y, width, height in pixels of the frame.
        tags: words to filter by.
        visible: visible share of the body in [0, 1], by the parser.
        quality: quality score of a crop, in [0, 1].
        crops: how many crops a tracklet stands for; 1 for a crop.
        id: number given by the store; ``None`` before that.
        attributes: what the person wears and carries; ``None`` where no parser looked.
    """

    key: str
    kind: Kind
    thumbnail: bytes
    source: str = ""
    camera: str | None = None
    time: float | None = None
    end: float | None = None
    person: str | None = None
    tracklet: str | None = None
    frame: int | None = None
    box: tuple[int, int, int, int] | None = None
    tags: tuple[str, ...] = ()
    visible: float | None = None
    quality: float | None = None
    crops: int = 1
    id: int | None = None
    attributes: Attributes | None = field(default=None, kw_only=True)

    @property
    def clock(self) -> str:
        """What its time counts from: "" of a date, else its recording. Times of two clocks tell nothing together."""
        return "" if self.time is not None and self.time >= FIRST_DATE else self.source


class CropPlace(NamedTuple):
    """Where the crop of a row was cut out: number and key of the row, frame, and x, y, width, height in pixels."""

    id: int
    key: str
    frame: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Filter:
    """Which rows take part; everything given must hold.

    Args:
        cameras: any of these.
        start: not before, seconds.
        end: not after, seconds.
        tags: all of these.
        sources: any of these.
        persons: any of these labels.
        min_visible: at least this visible share; rows that do not know theirs are left out.
        rows: "tracklet": tracklets, and crops that belong to none; "crop": crops only; ``None``: both.
        ids: only these rows.
        attributes: what is worn and carried, as ``NAME=VALUE`` (see `unveil.attributes.wanted`): any of several values
            of one attribute, and all attributes.
        include_unseen: also rows on which an attribute that is asked for cannot be seen.
    """

    cameras: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    min_visible: float | None = None
    rows: Rows | None = None
    ids: tuple[int, ...] | None = None
    attributes: tuple[str, ...] = ()
    include_unseen: bool = False

    def __post_init__(self) -> None:
        wanted_of(self.attributes)
        if self.start is not None and self.end is not None and self.start > self.end:
            raise DataError(f"the time filter starts ({self.start:g}) after it ends ({self.end:g})")
        if self.min_visible is not None and not 0 <= self.min_visible <= 1:
            raise DataError(f"the visible share must be in [0, 1], got {self.min_visible:g}")

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The attributes that are asked for, by name."""
        return wanted_of(self.attributes)


@dataclass(frozen=True)
class Standby:
    """A second model of a gallery, whose vectors are made or kept beside those that answer.

    Args:
        space: its embedding space, of the same shape as the gallery's.
        model: path or name of its weights.
        kept: whether its vectors have answered before, so that the switch can be undone.
    """

    space: EmbeddingSpace
    model: str
    kept: bool = False


@dataclass(frozen=True)
class DerivedModel:
    """A model that was adapted to rows of a gallery, and is derived from these people's data.

    Args:
        fingerprint: of the model.
        model: path of its weights.
        last: greatest id of the rows that it could learn from.
        crops: how many it learnt from.
        removed: crops up to that id that were removed from the gallery since.
        created: seconds since the epoch.
    """

    fingerprint: str
    model: str
    last: int
    crops: int
    removed: int = 0
    created: float = 0.0


@dataclass(frozen=True)
class GalleryInfo:
    """What is known of a gallery without reading its rows.

    Args:
        name: letters, digits, "-" and "_", at most 63.
        space: its embedding space.
        crops: rows that are crops.
        tracklets: rows that are tracklets.
        cameras: labels of its cameras, sorted.
        start: earliest timestamp, seconds; ``None`` when no row has a time.
        end: latest timestamp.
        revision: grows with every change of its rows, so that copies in memory know when they are old.
        retention_seconds: seconds after which rows expire; ``None`` keeps them.
        calibration: see `unveil.gallery.scoring.calibration`; ``None`` when nobody calibrated it.
        created: seconds since the epoch.
        generation: another number after every switch to another model's vectors.
        standby: the second model, where there is one.
    """

    name: str
    space: EmbeddingSpace
    crops: int = 0
    tracklets: int = 0
    cameras: tuple[str, ...] = ()
    start: float | None = None
    end: float | None = None
    revision: int = 0
    retention_seconds: float | None = None
    calibration: Mapping[str, Any] | None = None
    created: float = 0.0
    generation: int = field(default=0, kw_only=True)
    standby: Standby | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Block:
    """Rows for the first stage, all in memory: ``ids (N,)`` int64 and unit ``vectors (N, C)`` float32."""

    ids: np.ndarray
    vectors: np.ndarray


def first_stage_vectors(embedding: Embedding) -> np.ndarray:
    """Return one unit vector a row, ``(N, E * D)`` float32, whose cosine stands in for the part-aware distance.

    Every vector is normalised, weighted by ``sqrt(w_e v_e)`` and all are put side by side: the inner product of two
    rows is then ``sum_e w_e sqrt(v_e v'_e) cos_e`` over the product of their sizes. For one vector it is the cosine.
    Rows that show nothing are zero.
    """
    embedding = embedding.numpy()
    sizes = np.maximum(np.linalg.norm(embedding.vectors, axis=2, keepdims=True), 1e-12)
    share = np.sqrt(np.asarray(embedding.weights, np.float32) * embedding.visibility)[:, :, None]
    rows = (embedding.vectors / sizes * share).reshape(len(embedding), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)
