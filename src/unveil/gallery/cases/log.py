"""What the audit log says of cases: who opened, changed or exported which, and which rows were shown or handed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unveil.gallery.case_records import Case

ACTION = "case"
KEY = "case"  # of the number of the case in an entry's details


def case_entries(
    case: Case, what: str, *, who: str, role: str | None = None, rows: bool = False, **details: Any
) -> list[dict[str, Any]]:
    """Return the entries for something done with a case: one for each of its galleries, or one without a gallery.

    Its name is left out: an entry stays when the case is gone.

    Args:
        case: as the caller sees it.
        what: "open", "export", ...
        who: did it.
        role: of him.
        rows: whether the rows of its bookmarks are entered, as they were shown or handed on.
        details: anything else that JSON can hold.
    """
    found: list[dict[str, Any]] = []
    for gallery in case.galleries or (None,):
        shown = [mark.item for mark in case.bookmarks if mark.gallery == gallery] if rows else []
        found.append(entry(case.id, what, gallery=gallery, who=who, role=role, rows=shown, details=details))
    return found


def entry(
    case: int,
    what: str,
    *,
    gallery: str | None,
    who: str,
    role: str | None = None,
    rows: Sequence[int] = (),
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one entry about a case, and of what was done with it."""
    told = {KEY: case, "what": what, **(details or {})}
    return {"who": who, "role": role, "action": ACTION, "gallery": gallery, "results": list(rows), "details": told}
