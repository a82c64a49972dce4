"""What the API takes and gives of cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints

from unveil.gallery.case_records import MAX_MEMBERS, MAX_NAME, MAX_NOTE, MAX_TEXT, Case, CaseQuery, CaseSummary
from unveil.gallery.records import Item
from unveil.server.access.tokens import NAME as MEMBER
from unveil.server.schemas.base import In, RowId
from unveil.server.schemas.rows import ItemOut
from unveil.server.schemas.search import SearchIn

GalleryIn = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
CaseName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00]*$")]
Note = Annotated[str, StringConstraints(max_length=MAX_NOTE, pattern=r"^[^\x00]*$")]
Version = Annotated[int, Field(ge=1, le=2**62)]
Member = Annotated[str, StringConstraints(pattern=f"^{MEMBER.pattern}$")]


class NewCaseIn(In):
    """A new case."""

    name: CaseName


class CaseTextIn(In):
    """Name and notes of a case, and the version of them that the writer has read."""

    name: CaseName
    notes: Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]
    version: Version


class MembersIn(In):
    """Who may open a case beside its creator and admins."""

    members: Annotated[tuple[Member, ...], Field(max_length=MAX_MEMBERS)]


class NewBookmarkIn(In):
    """A row to be kept in a case."""

    gallery: GalleryIn
    item: RowId
    note: Note = ""


class BookmarkNoteIn(In):
    """The note of a bookmark, and the version of it that the writer has read."""

    note: Note
    version: Version


class CaseQueryIn(In):
    """A search to be kept in a case; images of it are kept too, as crops."""

    name: CaseName
    gallery: GalleryIn
    others: Annotated[tuple[GalleryIn, ...], Field(max_length=20)] = ()
    search: SearchIn


class CaseSummaryOut(BaseModel):
    """A case in a list. Times are seconds since the epoch."""

    id: int
    name: str
    creator: str
    created: float
    changed: float
    members: list[str]
    queries: int
    bookmarks: int

    @staticmethod
    def of(case: CaseSummary) -> CaseSummaryOut:
        """Describe a case in a list."""
        return CaseSummaryOut(
            id=case.id, name=case.name, creator=case.creator, created=case.created, changed=case.changed,
            members=list(case.members), queries=case.queries, bookmarks=case.bookmarks,
        )  # fmt: skip


class CaseQueryOut(BaseModel):
    """A search of a case; its images are at ``.../queries/{id}/images/{n}``, true for who is not meant."""

    id: int
    gallery: str
    others: list[str]
    name: str
    settings: dict[str, Any]
    hash: str
    images: list[bool]
    positives: list[int]
    negatives: list[int]
    confirmed: list[int]
    rejected: list[int]
    who: str
    time: float

    @staticmethod
    def of(query: CaseQuery) -> CaseQueryOut:
        """Describe a search of a case."""
        return CaseQueryOut(
            id=query.id, gallery=query.gallery, others=list(query.others), name=query.name,
            settings=dict(query.settings), hash=query.hash, images=list(query.images),
            positives=list(query.positives), negatives=list(query.negatives), confirmed=list(query.confirmed),
            rejected=list(query.rejected), who=query.who, time=query.time,
        )  # fmt: skip


class BookmarkOut(BaseModel):
    """A sighting of a case, and who wrote its note last."""

    gallery: str
    item: ItemOut
    note: str
    who: str
    time: float
    version: int


class RemovalOut(BaseModel):
    """What a case lost because rows were removed from a gallery."""

    time: float
    gallery: str
    bookmarks: int
    rows: int
    queries: int


class CaseOut(BaseModel):
    """A case, as far as its galleries are open to the caller; ``hidden`` counts what is not."""

    id: int
    name: str
    notes: str
    creator: str
    created: float
    changed: float
    version: int
    writer: str = Field(description="who changed name or notes last")
    members: list[str]
    owned: bool = Field(description="whether the caller may name members and remove the case")
    queries: list[CaseQueryOut]
    bookmarks: list[BookmarkOut]
    removals: list[RemovalOut]
    hidden: int

    @staticmethod
    def of(case: Case, rows: Mapping[tuple[str, int], Item], *, owned: bool, hidden: int) -> CaseOut:
        """Describe a case; bookmarks whose row is gone meanwhile are left out."""
        shown = [(mark, rows[mark.gallery, mark.item]) for mark in case.bookmarks if (mark.gallery, mark.item) in rows]
        bookmarks = [
            BookmarkOut(
                gallery=mark.gallery, item=ItemOut.of(row), note=mark.note, who=mark.who, time=mark.time,
                version=mark.version,
            )
            for mark, row in shown
        ]  # fmt: skip
        removals = [
            RemovalOut(time=r.time, gallery=r.gallery, bookmarks=r.bookmarks, rows=r.rows, queries=r.queries)
            for r in case.removals
        ]
        return CaseOut(
            id=case.id, name=case.name, notes=case.notes, creator=case.creator, created=case.created,
            changed=case.changed, version=case.version, writer=case.writer, members=list(case.members), owned=owned,
            hidden=hidden,
            queries=[CaseQueryOut.of(query) for query in case.queries], bookmarks=bookmarks, removals=removals,
        )  # fmt: skip


class VersionOut(BaseModel):
    """The version of a text after it was written."""

    version: int


class QueryKeptOut(BaseModel):
    """The number of a search that was kept."""

    query: int


class AddedBookmarkOut(BaseModel):
    """Whether a row is new in the case."""

    added: bool
