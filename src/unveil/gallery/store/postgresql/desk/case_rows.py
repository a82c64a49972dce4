"""What cases lose when rows or galleries are removed, in the transaction that removes them, and what says so."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

TABLES = ("case_rows", "case_queries", "case_pictures")  # what may hold words or images that were removed


def forget_rows(cursor: psycopg.Cursor, gallery: int) -> None:
    """Take the rows of the temporary table ``gone`` out of all cases.

    A search that has no image and no row of its person left goes too.
    """
    cursor.execute(
        "DELETE FROM case_rows c USING gone g WHERE c.gallery = %s AND c.item = g.id RETURNING c.case_id, c.kind",
        (gallery,),
    )
    lost = cursor.fetchall()
    if not lost:
        return
    cursor.execute(
        "DELETE FROM case_queries q WHERE q.gallery = %s AND NOT EXISTS (SELECT FROM case_pictures p "
        "WHERE p.query = q.id AND NOT p.negative) AND NOT EXISTS (SELECT FROM case_rows r "
        "WHERE r.query = q.id AND r.kind = 'positive') RETURNING case_id",
        (gallery,),
    )
    _say(cursor, gallery, rows=lost, queries=[number for (number,) in cursor.fetchall()])


def forget_gallery(cursor: psycopg.Cursor, gallery: int) -> None:
    """Take everything of a gallery that is dropped out of all cases."""
    cursor.execute("DELETE FROM case_rows WHERE gallery = %s RETURNING case_id, kind", (gallery,))
    lost = cursor.fetchall()
    cursor.execute("DELETE FROM case_queries WHERE gallery = %s RETURNING case_id", (gallery,))
    _say(cursor, gallery, rows=lost, queries=[number for (number,) in cursor.fetchall()])


def _say(cursor: psycopg.Cursor, gallery: int, *, rows: list[tuple[int, str]], queries: list[int]) -> None:
    now = time.time()
    marks = Counter(case for case, kind in rows if kind == "bookmark")
    others = Counter(case for case, kind in rows if kind != "bookmark")
    asked = Counter(queries)
    for case in sorted({*marks, *others, *asked}):
        cursor.execute(
            "INSERT INTO case_removals SELECT %s, %s, name, %s, %s, %s FROM galleries WHERE id = %s",
            (case, now, marks[case], others[case], asked[case], gallery),
        )
        cursor.execute("UPDATE cases SET changed = %s WHERE id = %s", (now, case))
