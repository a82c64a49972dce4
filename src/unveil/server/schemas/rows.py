"""What the API takes and gives of galleries and their rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from unveil.gallery.output.timeline import CLOCK_SECONDS, MAX_SPEED
from unveil.gallery.records import Filter, GalleryInfo, Item
from unveil.gallery.scoring.calibration import out_of_date
from unveil.server.schemas.attribute import Asked, AttributeOut
from unveil.server.schemas.base import In, Labels, Number, RowId, Why


class FilterIn(In):
    """Which rows take part; everything given must hold."""

    cameras: Labels = Field((), description="any of these")
    start: Number | None = Field(None, description="not before, seconds")
    end: Number | None = Field(None, description="not after, seconds")
    tags: Labels = Field((), description="all of these")
    persons: Labels = Field((), description="any of these labels")
    sources: Labels = Field((), description="any of these files or addresses")
    min_visible: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="least visible share of the body")
    ids: Annotated[tuple[RowId, ...], Field(max_length=10_000)] | None = Field(None, description="only these rows")
    attributes: Asked = Field(
        (), description="what is worn, as upper-colour=blue: any value of one, and all of several"
    )
    include_unseen: bool = Field(default=False, description="also rows on which such an attribute cannot be seen")

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
        return self.model_copy(update={"include_unseen": False}) == FilterIn()


class DeletionIn(In):
    """Which rows to remove, for good; at least one condition."""

    where: FilterIn
    why: Why = ""

    @model_validator(mode="after")
    def _narrow(self) -> DeletionIn:
        if self.where.empty:
            raise ValueError("expected at least one condition: a whole gallery is dropped on the command line")
        return self


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
    retention_seconds: float | None = Field(description="seconds after which rows expire")
    distances: list[DistanceOut] = Field(description="between its cameras, as far as they are known")
    max_speed: float = Field(MAX_SPEED, description="metres per second that people go between cameras at most")
    clock_seconds: float = Field(CLOCK_SECONDS, description="that clocks of two cameras may differ by")

    @staticmethod
    def of(info: GalleryInfo, fingerprint: str, *, distances: Mapping[frozenset[str], float]) -> GalleryOut:
        """Describe a gallery to clients."""
        cameras = set(info.cameras)
        apart = [(sorted(pair), metres) for pair, metres in distances.items() if pair <= cameras]
        return GalleryOut(
            name=info.name, crops=info.crops, tracklets=info.tracklets, cameras=list(info.cameras),
            start=info.start, end=info.end, calibrated=info.calibration is not None and not out_of_date(info),
            searchable=info.space.fingerprint == fingerprint, parts=list(info.space.names),
            retention_seconds=info.retention_seconds,
            distances=[DistanceOut(cameras=(one, other), metres=metres) for (one, other), metres in sorted(apart)],
        )  # fmt: skip


class ItemOut(BaseModel):
    """A row of a gallery; its image is at ``.../items/{id}/thumbnail``."""

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
    attributes: dict[str, AttributeOut] | None = Field(description="what is worn; null where nobody looked")

    @staticmethod
    def of(item: Item) -> ItemOut:
        """Describe a row to clients."""
        assert item.id is not None  # rows that come from a store have one
        return ItemOut(
            id=item.id, kind=item.kind, source=item.source, camera=item.camera, time=item.time, end=item.end,
            person=item.person, tracklet=item.tracklet, frame=item.frame, box=list(item.box) if item.box else None,
            tags=list(item.tags), visible=item.visible, quality=item.quality, crops=item.crops,
            attributes=AttributeOut.of(item.attributes),
        )  # fmt: skip


class SourceOut(BaseModel):
    """Where a row comes from: a whole frame of an image or a video, where its source is there and may be shown."""

    state: Literal["there", "off", "live", "outside", "gone", "changed", "unreadable"]
    words: str = Field(description="why nothing can be shown; empty when it is there")
    width: int | None = Field(None, description="of the frame, pixels")
    height: int | None = None
    box: list[int] | None = Field(None, description="x, y, width, height of the person in the frame")
    video: bool = Field(default=False, description="whether there is something to play")
    crops: list[ItemOut] = Field(description="all stored crops of the row's tracklet, in order of time")


class ClipOut(BaseModel):
    """A piece of a video to be played, held for some minutes. Times are seconds since the video began."""

    clip: str
    media_type: str
    bytes: int
    start: float
    end: float
    at: float = Field(description="seconds after the start of the clip at which the row's own frame is")
    copied: bool = Field(description="whether it holds the video's own images, not encoded anew")


class ItemsOut(BaseModel):
    """Rows by ascending id; ``next`` is the ``after`` of the next page, ``None`` on the last."""

    items: list[ItemOut]
    next: int | None


class AddedOut(BaseModel):
    """What became of an image that was sent to be indexed."""

    added: int
    known: int


class DeletedOut(BaseModel):
    """How many rows were removed."""

    deleted: int


class AuditOut(BaseModel):
    """Entries of the audit log, in order; ``next`` is the ``after`` of the next page."""

    entries: list[dict[str, Any]]
    next: int | None
