"""Rows by what people wear and carry alone, without an image: what is asked, and the answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from unveil.server.schemas.base import In, Why
from unveil.server.schemas.rows import FilterIn, ItemOut


class ListingIn(In):
    """Which rows look like that? The filter asks for one attribute at least."""

    where: FilterIn
    rows: Literal["tracklet", "crop"] = "tracklet"
    top: int = Field(20, ge=1, le=10_000)
    why: Why = Field("", description="reason of the search, for the audit log")

    @model_validator(mode="after")
    def _asks(self) -> ListingIn:
        if not self.where.attributes:
            raise ValueError("expected an attribute at least, for example upper-colour=blue")
        return self


class SightingOut(BaseModel):
    """A row, and how sure the least sure of the attributes is that were asked for; 0 where it cannot be seen."""

    item: ItemOut
    sureness: float


class ListingOut(BaseModel):
    """Rows, the surest first, then the earliest."""

    sightings: list[SightingOut]
    candidates: int = Field(description="rows that the filter lets through")
    unseen: int = Field(description="rows left out because an attribute that was asked for cannot be seen on them")
    notes: list[str] = Field(description="sentences that a user must see")
