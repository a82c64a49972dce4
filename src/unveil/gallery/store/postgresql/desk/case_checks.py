"""What holds for every change of a case: locks, limits, and the errors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unveil.errors import DataError
from unveil.gallery.case_records import (
    MAX_NAME,
    MAX_NOTE,
)
from unveil.gallery.store.postgresql.galleries import find_gallery

if TYPE_CHECKING:
    import psycopg


def touch(cursor: psycopg.Cursor, case: int) -> None:
    """Note that a case changes; others who change it wait until this is done."""
    cursor.execute("UPDATE cases SET changed = %s WHERE id = %s", (time.time(), case))
    if not cursor.rowcount:
        raise no_such_case(case)


def check_room(cursor: psycopg.Cursor, where: str, *, case: int, most: int, what: str) -> None:
    """Raise DataError when a case has so many of something that one more does not fit."""
    found = cursor.execute(f"SELECT count(*) FROM {where}", (case,)).fetchone()
    if found and found[0] >= most:
        raise DataError(f"a case has at most {most:,} {what}: begin another one")


def gallery_number(cursor: psycopg.Cursor, name: str) -> int:
    """Return the number of a gallery; DataError when there is none of that name."""
    return find_gallery(cursor, name)[0]


def gallery_with_rows(cursor: psycopg.Cursor, name: str, *, items: Sequence[int]) -> int:
    """Return the number of a gallery that has these rows, and keeps them until the transaction ends.

    Whoever removes rows locks the gallery, then cases: so does this, or each would wait for the other.
    """
    number = gallery_number(cursor, name)
    cursor.execute("SELECT 1 FROM galleries WHERE id = %s FOR SHARE", (number,))
    cursor.execute("SELECT id FROM items WHERE gallery = %s AND id = ANY(%s)", (number, list(items)))
    missing = set(items) - {item for (item,) in cursor.fetchall()}
    if missing:
        raise DataError(f"gallery {name!r} has no row {min(missing)}: was it deleted?")
    return number


def checked_name(name: str) -> str:
    """Return a name with single spaces; DataError when it is empty, too long or cannot be printed."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise DataError(f"a name has 1 to {MAX_NAME} letters that can be printed, got {name[:40]!r}")
    return name


def check_note(note: str) -> None:
    """Raise DataError when the note of a bookmark is too long."""
    if len(note) > MAX_NOTE:
        raise DataError(f"the note of a bookmark has at most {MAX_NOTE:,} characters, got {len(note):,}")


def no_such_case(case: int) -> DataError:
    """Return the error that a case is not there."""
    return DataError(f"there is no case {case}: was it deleted?")


def name_taken(name: str) -> DataError:
    """Return the error that a name is in use."""
    return DataError(f"there is a case {name!r} already: take another name")
