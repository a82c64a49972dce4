"""The searches of cases, with their images and rows."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from unveil.gallery.case_records import (
    CaseQuery,
    NewQuery,
)

if TYPE_CHECKING:
    import psycopg


KINDS = ("positive", "negative", "confirmed", "rejected")


def rows_of(query: NewQuery) -> list[tuple[str, int]]:
    """Return the rows of a search, each with its kind."""
    sides = zip(KINDS, (query.positives, query.negatives, query.confirmed, query.rejected), strict=True)
    return [(kind, item) for kind, items in sides for item in items]


def insert_search(
    cursor: psycopg.Cursor,
    case: int,
    *,
    gallery: int,
    name: str,
    query: NewQuery,
    rows: list[tuple[str, int]],
    who: str,
) -> int:
    """Keep a search with its images and rows; return its number."""
    made = cursor.execute(
        "INSERT INTO case_queries (case_id, gallery, name, settings, others, hash, who, moment) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
        (case, gallery, name, json.dumps(query.settings), list(query.others), query.hash, who, time.time()),
    ).fetchone()
    assert made is not None
    for n, image in enumerate(query.images):
        values = (made[0], n, image.negative, image.data)
        cursor.execute("INSERT INTO case_pictures VALUES (%s, %s, %s, %s)", values)
    for kind, item in rows:
        cursor.execute(
            "INSERT INTO case_rows (case_id, query, gallery, item, kind, who, moment) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (case, made[0], gallery, item, kind, who, time.time()),
        )
    return int(made[0])


def searches_of(cursor: psycopg.Cursor, case: int) -> tuple[CaseQuery, ...]:
    """Return the searches of a case without their images, in order."""
    cursor.execute("SELECT query, kind, item FROM case_rows WHERE case_id = %s AND query IS NOT NULL", (case,))
    rows: dict[tuple[int, str], list[int]] = {}
    for query, kind, item in cursor.fetchall():
        rows.setdefault((query, kind), []).append(item)
    cursor.execute(
        "SELECT q.id, g.name, q.name, q.settings, q.hash, "
        "ARRAY(SELECT negative FROM case_pictures p WHERE p.query = q.id ORDER BY number), q.others, q.who, q.moment "
        "FROM case_queries q JOIN galleries g ON g.id = q.gallery WHERE q.case_id = %s ORDER BY q.id",
        (case,),
    )
    found = []
    for number, gallery, name, settings, hash, images, others, who, timestamp in cursor.fetchall():
        sides = {kind: tuple(sorted(rows.get((number, kind), ()))) for kind in KINDS}
        found.append(
            CaseQuery(
                number, gallery, name, settings, hash, tuple(images), positives=sides["positive"],
                negatives=sides["negative"], confirmed=sides["confirmed"], rejected=sides["rejected"],
                others=tuple(others), who=who, time=timestamp,
            )
        )  # fmt: skip
    return tuple(found)
