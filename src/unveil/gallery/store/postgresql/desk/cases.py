"""The interface to the cases of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from unveil.gallery.case_records import Case, CaseSummary, NewQuery, QueryImage


class Cases(Protocol):
    """The cases of a store. Every method is one transaction.

    What is added by two at once is there from both. A text that two change is changed by the first; the second gets
    CaseChangedError with the text as it is now. All methods that name a case raise DataError when there is none.
    """

    def all(self) -> list[CaseSummary]:
        """Return all cases, the one that changed last first."""

    def get(self, case: int) -> Case:
        """Return a case with everything in it but images."""

    def named(self, name: str) -> Case:
        """Return a case by its name; DataError names the nearest one where there is none."""

    def create(self, name: str, who: str) -> Case:
        """Make a case; DataError when the name is taken."""

    def delete(self, case: int) -> None:
        """Remove a case with everything in it, and its bytes; rows of galleries stay."""

    def write(self, case: int, who: str, *, name: str, notes: str, version: int) -> int:
        """Change name and notes; return the new version.

        Args:
            case: number of the case.
            who: writes.
            name: the new name.
            notes: the new text.
            version: that the writer has read.

        Raises:
            CaseChangedError: somebody else changed them since.
        """

    def set_members(self, case: int, members: Sequence[str]) -> None:
        """Say who may open a case beside its creator and admins."""

    def add_query(self, case: int, gallery: str, *, query: NewQuery, who: str) -> int:
        """Keep a search; return its number.

        Raises:
            DataError: the case is full, or a row that the search names is not in the gallery.
        """

    def remove_query(self, case: int, query: int) -> None:
        """Remove a search, with the bytes of its images."""

    def images(self, case: int, query: int) -> list[QueryImage]:
        """Return the images of a search, in order."""

    def bookmark(self, case: int, gallery: str, *, item: int, who: str, note: str = "") -> bool:
        """Add a row; return False when the case has it already, and then change nothing.

        Raises:
            DataError: the case is full, or the gallery has no such row.
        """

    def write_note(self, case: int, gallery: str, *, item: int, who: str, note: str, version: int) -> int:
        """Change the note of a bookmark; return the new version.

        Raises:
            CaseChangedError: somebody else changed it since.
            DataError: there is no such bookmark.
        """

    def remove_bookmark(self, case: int, gallery: str, *, item: int) -> bool:
        """Remove a bookmark with its note; return whether there was one."""
