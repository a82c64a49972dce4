"""What the API takes and gives; FastAPI makes the OpenAPI description from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from unveil.gallery.records import Filter, GalleryInfo, Item
from unveil.gallery.scoring.calibration import out_of_date
from unveil.server.tokens import Role

Label = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Labels = Annotated[tuple[Label, ...], Field(max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
RowId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Why = Annotated[str, StringConstraints(max_length=500, strip_whitespace=True, pattern=r"^[^\x00]*$")]
MAX_PIECES = 200


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoxIn(_In):
    """A box in pixels of a picture that was turned as its EXIF data says; what lies outside is cut off."""

    x: int = Field(ge=0, le=10**6)
    y: int = Field(ge=0, le=10**6)
    width: int = Field(ge=1, le=10**6)
    height: int = Field(ge=1, le=10**6)


class Piece(_In):
    """A part of a query: a picture that was sent before, whole or a box of it, or a row of the gallery."""

    picture: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{10,40}$")] | None = None
    box: BoxIn | None = None
    item: RowId | None = None

    @model_validator(mode="after")
    def _one(self) -> Piece:
        if (self.picture is None) == (self.item is None):
            raise ValueError("expected either a picture or an item")
        if self.box and self.picture is None:
            raise ValueError("a box needs a picture")
        return self


class FilterIn(_In):
    """Which rows take part; everything given must hold."""

    cameras: Labels = Field((), description="any of these")
    start: Number | None = Field(None, description="not before, seconds")
    end: Number | None = Field(None, description="not after, seconds")
    tags: Labels = Field((), description="all of these")
    persons: Labels = Field((), description="any of these labels")
    sources: Labels = Field((), description="any of these files or addresses")
    min_visible: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="least visible share of the body")
    ids: Annotated[tuple[RowId, ...], Field(max_length=10_000)] | None = Field(None, description="only these rows")

    @model_validator(mode="after")
    def _order(self) -> FilterIn:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError("the time filter starts after it ends")
        return self

    def to_filter(self, rows: Literal["tracklet", "crop"] | None = None) -> Filter:
        """Return the filter that the store speaks."""
        return Filter(**self.model_dump(), rows=rows)

    @property
    def empty(self) -> bool:
        """Whether it lets every row through."""
        return self == FilterIn()


class SearchIn(_In):
    """Where else is this person?"""

    positives: Annotated[tuple[Piece, ...], Field(min_length=1, max_length=MAX_PIECES)]
    negatives: Annotated[tuple[Piece, ...], Field(max_length=MAX_PIECES)] = ()
    confirmed: Annotated[tuple[RowId, ...], Field(max_length=64)] = Field((), description="rows that show the person")
    rejected: Annotated[tuple[RowId, ...], Field(max_length=64)] = Field((), description="rows that do not; left out")
    where: FilterIn = FilterIn()
    rows: Literal["tracklet", "crop"] = "tracklet"
    mode: Literal["same", "changed"] = Field("same", description="clothes are the same, or may have changed")
    top: int = Field(20, ge=1, le=10_000)
    rescore: int = Field(500, ge=1, le=10_000, description="rows that are scored by parts after the coarse stage")
    rerank: bool = Field(False, description="order the rows that were scored by parts by k-reciprocal re-ranking")
    why: Why = Field("", description="reason of the search, for the audit log")
    anyway: bool = Field(False, description="search also when no person is seen on a picture of the positives")


class FeedbackIn(_In):
    """A person's judgement on a hit."""

    item: RowId
    same: bool = Field(description="whether the hit shows the person that was searched for")


class DeletionIn(_In):
    """Which rows to remove, for good; at least one condition."""

    where: FilterIn
    why: Why = ""

    @model_validator(mode="after")
    def _narrow(self) -> DeletionIn:
        if self.where.empty:
            raise ValueError("expected at least one condition: a whole gallery is dropped on the command line")
        return self


class ErrorOut(BaseModel):
    """What went wrong, and the id of the request in the server's log."""

    error: str
    request: str
    anyway: bool = Field(False, description="whether the same search is answered with its field `anyway` set")


class LimitsOut(BaseModel):
    """Limits that a client should know."""

    upload: int
    pixels: int
    pieces: int
    top: int


class SessionOut(BaseModel):
    """Who asks, and what this server asks of them."""

    name: str
    role: Role
    require_why: bool
    detector: bool
    version: str
    limits: LimitsOut


class DistanceOut(BaseModel):
    """How far two cameras are apart, as people go."""

    cameras: tuple[str, str]
    metres: float


class GalleryOut(BaseModel):
    """A gallery without its rows. Times are seconds since the epoch, or since the recordings began."""

    name: str
    crops: int
    tracklets: int
    cameras: list[str]
    start: float | None
    end: float | None
    calibrated: bool
    searchable: bool = Field(description="whether its rows were embedded by this server's model")
    parts: list[str]
    keep: float | None = Field(description="seconds after which rows expire")
    distances: list[DistanceOut] = Field(description="between its cameras, as far as they are known")

    @staticmethod
    def of(info: GalleryInfo, fingerprint: str, distances: Mapping[frozenset[str], float]) -> GalleryOut:
        """Describe a gallery to clients."""
        cameras = set(info.cameras)
        apart = [(sorted(pair), metres) for pair, metres in distances.items() if pair <= cameras]
        return GalleryOut(
            name=info.name, crops=info.crops, tracklets=info.tracklets, cameras=list(info.cameras),
            start=info.start, end=info.end, calibrated=info.calibration is not None and not out_of_date(info),
            searchable=info.space.fingerprint == fingerprint, parts=list(info.space.names), keep=info.keep,
            distances=[DistanceOut(cameras=(one, other), metres=metres) for (one, other), metres in sorted(apart)],
        )  # fmt: skip


class ItemOut(BaseModel):
    """A row of a gallery; its picture is at ``.../items/{id}/thumbnail``."""

    id: int
    kind: Literal["crop", "tracklet"]
    source: str
    camera: str | None
    time: float | None
    end: float | None
    person: str | None
    tracklet: str | None
    frame: int | None
    box: list[int] | None
    tags: list[str]
    visible: float | None
    quality: float | None
    crops: int

    @staticmethod
    def of(item: Item) -> ItemOut:
        """Describe a row to clients."""
        assert item.id is not None  # rows that come from a store have one
        return ItemOut(
            id=item.id, kind=item.kind, source=item.source, camera=item.camera, time=item.time, end=item.end,
            person=item.person, tracklet=item.tracklet, frame=item.frame, box=list(item.box) if item.box else None,
            tags=list(item.tags), visible=item.visible, quality=item.quality, crops=item.crops,
        )  # fmt: skip


class MomentOut(BaseModel):
    """Where a row comes from: a whole frame of an image or a film, where its source is there and may be shown."""

    state: Literal["there", "off", "live", "outside", "gone", "changed", "unreadable"]
    words: str = Field(description="why nothing can be shown; empty when it is there")
    width: int | None = Field(None, description="of the frame, pixels")
    height: int | None = None
    box: list[int] | None = Field(None, description="x, y, width, height of the person in the frame")
    film: bool = Field(False, description="whether there is something to play")
    crops: list[ItemOut] = Field(description="all stored crops of the row's tracklet, in order of time")


class ClipOut(BaseModel):
    """A piece of a film to be played, held for some minutes. Times are seconds since the film began."""

    clip: str
    media_type: str
    bytes: int
    start: float
    end: float
    at: float = Field(description="seconds after the start of the clip at which the row's own frame is")
    copied: bool = Field(description="whether it holds the film's own pictures, not encoded anew")


class ItemsOut(BaseModel):
    """Rows by ascending id; ``next`` is the ``after`` of the next page, ``None`` on the last."""

    items: list[ItemOut]
    next: int | None


class PictureOut(BaseModel):
    """A picture that is held for searches; its size is that after turning it as its EXIF data says."""

    picture: str
    width: int
    height: int


class PersonOut(BaseModel):
    """A person found on a picture; pixels, and how sure the detector is in [0, 1]."""

    x: int
    y: int
    width: int
    height: int
    score: float


class PeopleOut(BaseModel):
    """The people of a picture, surest first."""

    people: list[PersonOut]


class HitOut(BaseModel):
    """One result: how far it is (0 is the same), how probable, and which parts spoke for it."""

    rank: int
    item: ItemOut
    distance: float | None
    probability: float | None
    parts: dict[str, float]
    reason: str


class ModelOut(BaseModel):
    """The model that embedded the query and the rows; null is what is not known."""

    name: str | None
    fingerprint: str
    licence: str | None


class SearchOut(BaseModel):
    """The results of a search; ``search`` names it for heat maps, feedback and export."""

    search: str
    query_hash: str
    model: ModelOut
    calibrated: bool
    match: bool | None = Field(description="false: no row is probably this person; null: not calibrated")
    threshold: float | None = Field(description="distance up to which a row counts as a match; null: not calibrated")
    candidates: int
    rescored: int
    milliseconds: float
    notes: list[str] = Field(description="sentences that a user must see")
    hits: list[HitOut]


class AddedOut(BaseModel):
    """What became of a picture that was sent to be indexed."""

    added: int
    known: int


class DeletedOut(BaseModel):
    """How many rows were removed."""

    deleted: int


class AuditOut(BaseModel):
    """Entries of the audit log, in order; ``next`` is the ``after`` of the next page."""

    entries: list[dict[str, Any]]
    next: int | None


def finite(value: float) -> float | None:
    """Return a number that JSON can hold; ``None`` for what nothing could be compared in."""
    return float(value) if math.isfinite(value) else None
