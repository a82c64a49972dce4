"""What a case holds: searches that can be repeated, sightings with notes, members, and what was removed from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from unveil.errors import DataError

MAX_NAME, MAX_TEXT, MAX_NOTE = 120, 20_000, 2_000  # characters
MAX_MEMBERS, MAX_QUERIES, MAX_BOOKMARKS = 64, 200, 2_000
MAX_ROWS = 64  # of one kind in a query
MAX_IMAGES, MAX_IMAGE_BYTES = 64, 2_000_000  # of a query; bytes of one


class CaseChangedError(DataError):
    """Somebody else changed a text since it was read; nothing was overwritten.

    Args:
        who: changed it.
        text: as it is now.
        version: of that text, to be named when it is changed again.
    """

    def __init__(self, who: str, *, text: str, version: int) -> None:
        super().__init__(f"{who} changed this text meanwhile: nothing was overwritten; look at both and save again")
        self.who = who
        self.text = text
        self.version = version


@dataclass(frozen=True)
class Bookmark:
    """A row of a gallery that belongs to a case.

    Args:
        gallery: name of the gallery.
        item: number of the row.
        note: what somebody wrote about it.
        who: wrote it last.
        time: when it was added, seconds since the epoch.
        version: grows with every change of the note.
    """

    gallery: str
    item: int
    note: str
    who: str
    time: float
    version: int


@dataclass(frozen=True)
class QueryImage:
    """A crop that a search of a case was made with: PNG bytes, and whether it shows who is not meant."""

    data: bytes
    negative: bool = False


@dataclass(frozen=True)
class NewQuery:
    """A search to be kept.

    Args:
        name: what people call it.
        settings: filters, mode, number of results and so on, as JSON.
        hash: of the query, by which the audit log and feedback know it.
        images: crops that it was made with.
        positives: rows that it was made with.
        negatives: rows of people who are not meant.
        confirmed: rows that somebody said show the person.
        rejected: rows that do not.
        others: names of further galleries that were searched.
    """

    name: str
    settings: Mapping[str, Any]
    hash: str
    images: tuple[QueryImage, ...] = ()
    positives: tuple[int, ...] = ()
    negatives: tuple[int, ...] = ()
    confirmed: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = (self.positives, self.negatives, self.confirmed, self.rejected)
        if not self.positives and not any(not image.negative for image in self.images):
            raise DataError("a search to keep has at least one image or row of the person")
        if len(self.images) > MAX_IMAGES or max(map(len, rows)) > MAX_ROWS:
            raise DataError(f"a search to keep has at most {MAX_IMAGES} images and {MAX_ROWS} rows of a kind")
        if any(len(image.data) > MAX_IMAGE_BYTES for image in self.images):
            raise DataError(f"an image of a search to keep has at most {MAX_IMAGE_BYTES:,} bytes")


@dataclass(frozen=True)
class CaseQuery:
    """A search of a case, as `NewQuery` without its images' bytes.

    Args:
        id: number of it.
        gallery: that was searched.
        name: what people call it.
        settings: filters, mode, number of results and so on.
        hash: of the query.
        images: for each image, whether it shows who is not meant.
        positives: rows that it was made with.
        negatives: rows of people who are not meant.
        confirmed: rows that somebody said show the person.
        rejected: rows that do not.
        others: names of further galleries that were searched.
        who: kept it.
        time: when, seconds since the epoch.
    """

    id: int
    gallery: str
    name: str
    settings: Mapping[str, Any]
    hash: str
    images: tuple[bool, ...]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    confirmed: tuple[int, ...]
    rejected: tuple[int, ...]
    others: tuple[str, ...]
    who: str
    time: float

    @property
    def galleries(self) -> tuple[str, ...]:
        """Names of all galleries that it was asked of."""
        return (self.gallery, *self.others)


@dataclass(frozen=True)
class Removal:
    """What a case lost because rows were removed from a gallery: when, and how many of each."""

    time: float
    gallery: str
    bookmarks: int
    rows: int
    queries: int

    def __str__(self) -> str:
        lost = ((self.bookmarks, "bookmark"), (self.rows, "row of searches"), (self.queries, "search"))
        told = [f"{n} {what}" if n == 1 else f"{n} {_many(what)}" for n, what in lost if n]
        return f"{', '.join(told)} went from the case: the rows were removed from gallery {self.gallery!r}"


def _many(what: str) -> str:
    return {"search": "searches", "row of searches": "rows of searches"}.get(what, f"{what}s")


@dataclass(frozen=True)
class CaseSummary:
    """A case in a list: number, name, who made it and when it changed, members, how much is in it."""

    id: int
    name: str
    creator: str
    created: float
    changed: float
    members: tuple[str, ...]
    queries: int
    bookmarks: int


@dataclass(frozen=True)
class Case:
    """One case.

    Args:
        id: number of it.
        name: unique in its store.
        notes: a text of the members.
        creator: made it.
        created: seconds since the epoch.
        changed: when anything in it was changed last.
        version: of name and notes, to be named when they are changed.
        writer: changed them last.
        members: who may open it, beside the creator and admins.
        queries: searches, the oldest first.
        bookmarks: sightings, in the order in which they were added.
        removals: what it lost with rows of galleries.
    """

    id: int
    name: str
    notes: str
    creator: str
    created: float
    changed: float
    version: int
    writer: str
    members: tuple[str, ...] = ()
    queries: tuple[CaseQuery, ...] = ()
    bookmarks: tuple[Bookmark, ...] = ()
    removals: tuple[Removal, ...] = ()

    @property
    def galleries(self) -> tuple[str, ...]:
        """Names of the galleries that anything in it is about, sorted."""
        asked = {name for query in self.queries for name in query.galleries}
        return tuple(sorted(asked | {bookmark.gallery for bookmark in self.bookmarks}))

    def part(self, open_to: Callable[[str], bool]) -> tuple[Case, int]:
        """Return what of a case is about galleries that somebody may see, and how many searches and bookmarks are not.

        Args:
            open_to: whether a gallery of that name is one of these.
        """
        queries = tuple(query for query in self.queries if all(map(open_to, query.galleries)))
        bookmarks = tuple(mark for mark in self.bookmarks if open_to(mark.gallery))
        removals = tuple(removal for removal in self.removals if open_to(removal.gallery))
        hidden = len(self.queries) + len(self.bookmarks) - len(queries) - len(bookmarks)
        return replace(self, queries=queries, bookmarks=bookmarks, removals=removals), hidden
