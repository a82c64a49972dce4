"""What the API takes and gives of probable people."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from unveil.gallery.group_records import GroupingState, ProbablePerson
from unveil.gallery.records import Mode
from unveil.server.schemas.base import In, RowId, Why
from unveil.server.schemas.rows import ItemOut

MAX_SPLIT = 500
PersonNumber = Annotated[int, Field(ge=1, le=2**62)]


class GroupIn(In):
    """How to group; without a threshold the gallery must be calibrated in this mode."""

    mode: Mode = "same"
    threshold: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="mean distance up to which groups are joined"
    )
    why: Why = ""


class SplitIn(In):
    """Rows of a probable person that show somebody else."""

    items: Annotated[tuple[RowId, ...], Field(min_length=1, max_length=MAX_SPLIT)]
    why: Why = ""


class MergeIn(In):
    """A probable person who is the same one."""

    other: PersonNumber
    why: Why = ""


class GroupingOut(BaseModel):
    """How a gallery was grouped, and what became of it since."""

    made: float = Field(description="seconds since the epoch")
    mode: Mode
    threshold: float
    calibrated: bool = Field(description="whether the threshold is the gallery's calibrated one")
    source: str
    people: int
    rows: int
    ungrouped: int = Field(description="rows that came later and are in no group")
    removed: int = Field(description="grouped rows that were removed since")
    other_model: bool = Field(description="the gallery was switched to another model since")
    recalibrated: bool

    @staticmethod
    def of(state: GroupingState) -> GroupingOut:
        """Describe a grouping."""
        told = state.grouping
        return GroupingOut(
            made=told.made, mode=told.mode, threshold=told.threshold, calibrated=told.calibrated, source=told.source,
            people=state.people, rows=state.rows, ungrouped=state.ungrouped, removed=told.removed,
            other_model=state.other_model, recalibrated=state.recalibrated,
        )  # fmt: skip


class ProbablePersonOut(BaseModel):
    """Rows that probably, never certainly, show one person."""

    person: int
    rows: int
    cameras: list[str]
    start: float | None
    end: float | None
    images: list[int] = Field(description="rows with the best images, at most four")
    by_hand: bool = Field(description="whether somebody split or merged it")

    @staticmethod
    def of(person: ProbablePerson) -> ProbablePersonOut:
        """Describe a probable person."""
        return ProbablePersonOut(
            person=person.number, rows=person.rows, cameras=list(person.cameras), start=person.start, end=person.end,
            images=list(person.images), by_hand=person.by_hand > 0,
        )  # fmt: skip


class ProbablePeopleOut(BaseModel):
    """A page of probable people; ``grouping`` is null where nobody grouped the gallery."""

    grouping: GroupingOut | None
    people: list[ProbablePersonOut]
    next: int | None = Field(description="offset of the next page")


class GroupedRowOut(BaseModel):
    """A row of a probable person."""

    item: ItemOut
    distance: float | None = Field(description="mean distance from the others when they were grouped")
    probability: float | None = Field(description="that two rows at this distance are one person; where calibrated")


class GroupedRowsOut(BaseModel):
    """A probable person with the rows, those that fit least first."""

    person: ProbablePersonOut
    rows: list[GroupedRowOut]
    next: int | None = Field(description="offset of the next page")


class PersonNumberOut(BaseModel):
    """The number of the probable person that was made, or that is left."""

    person: int
