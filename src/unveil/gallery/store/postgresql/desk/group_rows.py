"""What groups lose when rows are removed, in the transaction that removes them, and what was said by hand of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

TABLES = ("grouped_rows", "people_apart", "groupings")


def forget_rows(cursor: psycopg.Cursor, gallery: int) -> None:
    """Take the rows of the temporary table ``gone`` out of their groups, and count them."""
    cursor.execute("DELETE FROM grouped_rows r USING gone g WHERE r.gallery = %s AND r.item = g.id", (gallery,))
    if cursor.rowcount:
        cursor.execute("UPDATE groupings SET removed = removed + %s WHERE gallery = %s", (cursor.rowcount, gallery))
        drop_unused(cursor, gallery)


def drop_unused(cursor: psycopg.Cursor, gallery: int) -> None:
    """Forget which labels are apart where no row has one of them."""
    cursor.execute(
        "DELETE FROM people_apart p WHERE p.gallery = %(gallery)s AND EXISTS (SELECT FROM unnest(ARRAY[p.a, p.b]) l "
        "WHERE NOT EXISTS (SELECT FROM grouped_rows r WHERE r.gallery = %(gallery)s AND r.said = l))",
        {"gallery": gallery},
    )


def relabel(cursor: psycopg.Cursor, gallery: int, *, items: Sequence[int]) -> int:
    """Say that rows are one person: give them one new label, apart from whatever an old one of theirs was apart from.

    Returns:
        The label.
    """
    found = cursor.execute("SELECT nextval('group_numbers')").fetchone()
    assert found is not None
    label = int(found[0])
    cursor.execute(
        "WITH old AS (SELECT DISTINCT said FROM grouped_rows WHERE gallery = %(gallery)s AND item = ANY(%(items)s) "
        "AND said IS NOT NULL), others AS (SELECT p.b AS other FROM people_apart p JOIN old ON p.a = old.said "
        "WHERE p.gallery = %(gallery)s UNION SELECT p.a FROM people_apart p JOIN old ON p.b = old.said "
        "WHERE p.gallery = %(gallery)s) INSERT INTO people_apart SELECT %(gallery)s, other, %(label)s FROM others "
        "WHERE other NOT IN (SELECT said FROM old) ON CONFLICT DO NOTHING",
        {"gallery": gallery, "items": list(items), "label": label},
    )
    cursor.execute(
        "UPDATE grouped_rows SET said = %s, distance = NULL WHERE gallery = %s AND item = ANY(%s)",
        (label, gallery, list(items)),
    )
    return label


def set_apart(cursor: psycopg.Cursor, gallery: int, *, label: int, person: int) -> None:
    """Say that the rows of a label are another person than each row that is left in a group."""
    cursor.execute(
        "UPDATE grouped_rows SET said = coalesce(said, nextval('group_numbers')), distance = NULL "
        "WHERE gallery = %s AND person = %s AND said IS DISTINCT FROM %s",
        (gallery, person, label),
    )
    cursor.execute(
        "INSERT INTO people_apart SELECT DISTINCT %(gallery)s::int, least(said, %(label)s), greatest(said, %(label)s) "
        "FROM grouped_rows WHERE gallery = %(gallery)s AND person = %(person)s AND said <> %(label)s "
        "ON CONFLICT DO NOTHING",
        {"gallery": gallery, "label": label, "person": person},
    )
