"""What the API takes and gives of searches; FastAPI makes the OpenAPI description from these models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from unveil.server.schemas.base import In, RowId, Why
from unveil.server.schemas.rows import FilterIn, ItemOut

MAX_PIECES = 200


class BoxIn(In):
    """A box in pixels of an image that was turned as its EXIF data says; what lies outside is cut off."""

    x: int = Field(ge=0, le=10**6)
    y: int = Field(ge=0, le=10**6)
    width: int = Field(ge=1, le=10**6)
    height: int = Field(ge=1, le=10**6)


class QueryItem(In):
    """A part of a query: an image that was sent before, whole or a box of it, or a row of the gallery."""

    image: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{10,40}$")] | None = None
    box: BoxIn | None = None
    item: RowId | None = None

    @model_validator(mode="after")
    def _one(self) -> QueryItem:
        if (self.image is None) == (self.item is None):
            raise ValueError("expected either an image or an item")
        if self.box and self.image is None:
            raise ValueError("a box needs an image")
        return self


class SearchIn(In):
    """Where else is this person?"""

    positives: Annotated[tuple[QueryItem, ...], Field(min_length=1, max_length=MAX_PIECES)]
    negatives: Annotated[tuple[QueryItem, ...], Field(max_length=MAX_PIECES)] = ()
    confirmed: Annotated[tuple[RowId, ...], Field(max_length=64)] = Field((), description="rows that show the person")
    rejected: Annotated[tuple[RowId, ...], Field(max_length=64)] = Field((), description="rows that do not; left out")
    where: FilterIn = FilterIn()
    rows: Literal["tracklet", "crop"] = "tracklet"
    mode: Literal["same", "changed"] = Field("same", description="clothes are the same, or may have changed")
    top: int = Field(20, ge=1, le=10_000)
    rescore: int = Field(500, ge=1, le=10_000, description="rows that are scored by parts after the first stage")
    rerank: bool = Field(
        default=False, description="order the rows that were scored by parts by k-reciprocal re-ranking"
    )
    why: Why = Field("", description="reason of the search, for the audit log")
    skip_person_check: bool = Field(
        default=False, description="search also when no person is seen on an image of the positives"
    )


class FeedbackIn(In):
    """A person's feedback on a hit."""

    item: RowId
    same: bool | None = Field(
        description="whether the hit shows the person that was searched for; null takes back what was said before"
    )


class ImageOut(BaseModel):
    """An image that is held for searches; its size is that after turning it as its EXIF data says."""

    image: str
    width: int
    height: int


class PersonOut(BaseModel):
    """A person found on an image; pixels, and how sure the detector is in [0, 1]."""

    x: int
    y: int
    width: int
    height: int
    score: float


class PeopleOut(BaseModel):
    """The people of an image, surest first."""

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
    unseen: int = Field(0, description="rows left out because an attribute that was asked for cannot be seen on them")
    hits: list[HitOut]
