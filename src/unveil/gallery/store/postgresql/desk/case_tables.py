"""Cases in PostgreSQL, beside the galleries that they are about; with Milvus too, as that holds vectors alone."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unveil.errors import DataError, nearest
from unveil.gallery.case_records import (
    MAX_BOOKMARKS,
    MAX_MEMBERS,
    MAX_NAME,
    MAX_NOTE,
    MAX_QUERIES,
    MAX_TEXT,
    Bookmark,
    Case,
    CaseChangedError,
    CaseQuery,
    CaseSummary,
    NewQuery,
    QueryPicture,
    Removal,
)
from unveil.gallery.store.postgresql.desk import case_rows
from unveil.gallery.store.postgresql.items import partitions

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

KINDS = ("positive", "negative", "confirmed", "rejected")


class CaseTables:
    """See `unveil.gallery.store.postgresql.desk.cases.Cases`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def all(self) -> list[CaseSummary]:
        """Return all cases, the one that changed last first."""
        with self._connections.reading(
            "SELECT id, name, creator, created, changed, "
            "ARRAY(SELECT who FROM case_members m WHERE m.case_id = c.id ORDER BY who), "
            "(SELECT count(*) FROM case_queries q WHERE q.case_id = c.id), "
            "(SELECT count(*) FROM case_rows r WHERE r.case_id = c.id AND r.query IS NULL) "
            "FROM cases c ORDER BY changed DESC, id"
        ) as cursor:
            return [
                CaseSummary(number, name, creator, created, changed, tuple(members), queries, bookmarks)
                for number, name, creator, created, changed, members, queries, bookmarks in cursor.fetchall()
            ]

    def get(self, case: int) -> Case:
        """Return a case with everything in it but pictures."""
        with self._connections.transaction() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            row = cursor.execute(
                "SELECT id, name, notes, creator, created, changed, version, written_by FROM cases WHERE id = %s",
                (case,),
            ).fetchone()
            if row is None:
                raise _missing(case)
            cursor.execute("SELECT who FROM case_members WHERE case_id = %s ORDER BY who", (case,))
            members = tuple(who for (who,) in cursor.fetchall())
            cursor.execute(
                "SELECT g.name, r.item, r.note, r.who, r.moment, r.version FROM case_rows r "
                "JOIN galleries g ON g.id = r.gallery WHERE r.case_id = %s AND r.query IS NULL "
                "ORDER BY r.moment, g.name, r.item",
                (case,),
            )
            bookmarks = tuple(Bookmark(*found) for found in cursor.fetchall())
            cursor.execute(
                "SELECT moment, gallery, bookmarks, rows_of_queries, queries FROM case_removals WHERE case_id = %s "
                "ORDER BY moment, gallery",
                (case,),
            )
            removals = tuple(Removal(*found) for found in cursor.fetchall())
            number, name, notes, creator, created, changed, version, writer = row
            return Case(
                number, name, notes, creator, created, changed, version, writer,
                members=members, queries=_queries(cursor, case), bookmarks=bookmarks, removals=removals,
            )  # fmt: skip

    def named(self, name: str) -> Case:
        """Return a case by its name; DataError names the nearest one where there is none."""
        known = {case.name: case.id for case in self.all()}
        if name not in known:
            there = ", ".join(list(known)[:10]) or "there is none yet"
            raise DataError(f"there is no case {name!r}{nearest(name, known)}; there are: {there}")
        return self.get(known[name])

    def create(self, name: str, who: str) -> Case:
        """Make a case; DataError when the name is taken."""
        name, now = _checked_name(name), time.time()
        with self._connections.transaction() as cursor:
            made = cursor.execute(
                "INSERT INTO cases (name, creator, created, changed, written_by) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT (name) DO NOTHING RETURNING id",
                (name, who, now, now, who),
            ).fetchone()
        if made is None:
            raise _taken(name)
        return self.get(made[0])

    def delete(self, case: int) -> None:
        """Remove a case with everything in it, and its bytes; rows of galleries stay."""
        with self._connections.transaction() as cursor:
            if cursor.execute("DELETE FROM cases WHERE id = %s RETURNING id", (case,)).fetchone() is None:
                raise _missing(case)
        self._rewrite("cases", "case_members", *case_rows.TABLES)

    def write(self, case: int, who: str, *, name: str, notes: str, version: int) -> int:
        """Change name and notes; return the new version."""
        name = _checked_name(name)
        if len(notes) > MAX_TEXT:
            raise DataError(f"the notes of a case have at most {MAX_TEXT:,} characters, got {len(notes):,}")
        with self._connections.transaction() as cursor:
            found = cursor.execute(
                "SELECT version, notes, written_by FROM cases WHERE id = %s FOR UPDATE", (case,)
            ).fetchone()
            if found is None:
                raise _missing(case)
            if found[0] != version:
                raise CaseChangedError(found[2], text=found[1], version=found[0])
            taken = "SELECT 1 FROM cases WHERE name = %s AND id <> %s"
            if cursor.execute(taken, (name, case)).fetchone():
                raise _taken(name)
            cursor.execute(
                "UPDATE cases SET name = %s, notes = %s, version = version + 1, changed = %s, written_by = %s "
                "WHERE id = %s",
                (name, notes, time.time(), who, case),
            )
        return version + 1

    def set_members(self, case: int, members: Sequence[str]) -> None:
        """Say who may open a case beside its creator and admins."""
        if len(members) > MAX_MEMBERS:
            raise DataError(f"a case has at most {MAX_MEMBERS} members, got {len(members)}")
        with self._connections.transaction() as cursor:
            _touch(cursor, case)
            cursor.execute("DELETE FROM case_members WHERE case_id = %s", (case,))
            for who in dict.fromkeys(members):
                cursor.execute("INSERT INTO case_members VALUES (%s, %s)", (case, who))

    def add_query(self, case: int, gallery: str, query: NewQuery, *, who: str) -> int:
        """Keep a search; return its number."""
        name = _checked_name(query.name)
        sides = zip(KINDS, (query.positives, query.negatives, query.confirmed, query.rejected), strict=True)
        rows = [(kind, item) for kind, items in sides for item in items]
        with self._connections.transaction() as cursor:
            number = _gallery_of(cursor, gallery, [item for _, item in rows])
            _touch(cursor, case)
            _room(cursor, "case_queries WHERE case_id = %s", case, MAX_QUERIES, "searches")
            made = cursor.execute(
                "INSERT INTO case_queries (case_id, gallery, name, settings, others, hash, who, moment) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                (case, number, name, json.dumps(query.settings), list(query.others), query.hash, who, time.time()),
            ).fetchone()
            assert made is not None
            for n, picture in enumerate(query.pictures):
                values = (made[0], n, picture.negative, picture.data)
                cursor.execute("INSERT INTO case_pictures VALUES (%s, %s, %s, %s)", values)
            for kind, item in rows:
                cursor.execute(
                    "INSERT INTO case_rows (case_id, query, gallery, item, kind, who, moment) "
                    "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (case, made[0], number, item, kind, who, time.time()),
                )
        return int(made[0])

    def remove_query(self, case: int, query: int) -> None:
        """Remove a search, with the bytes of its pictures."""
        with self._connections.transaction() as cursor:
            _touch(cursor, case)
            cursor.execute("DELETE FROM case_queries WHERE case_id = %s AND id = %s", (case, query))
            if not cursor.rowcount:
                raise DataError(f"case {case} has no search {query}")
        self._rewrite(*case_rows.TABLES)

    def pictures(self, case: int, query: int) -> list[QueryPicture]:
        """Return the pictures of a search, in order."""
        with self._connections.reading(
            "SELECT p.picture, p.negative FROM case_pictures p JOIN case_queries q ON q.id = p.query "
            "WHERE q.case_id = %(case)s AND q.id = %(query)s ORDER BY p.number",
            {"case": case, "query": query},
        ) as cursor:
            return [QueryPicture(bytes(data), negative) for data, negative in cursor.fetchall()]

    def bookmark(self, case: int, gallery: str, item: int, *, who: str, note: str = "") -> bool:
        """Add a row; return False when the case has it already, and then change nothing."""
        _check_note(note)
        with self._connections.transaction() as cursor:
            number = _gallery_of(cursor, gallery, [item])
            _touch(cursor, case)
            _room(cursor, "case_rows WHERE query IS NULL AND case_id = %s", case, MAX_BOOKMARKS, "bookmarks")
            cursor.execute(
                "INSERT INTO case_rows (case_id, gallery, item, kind, note, who, moment) "
                "VALUES (%s, %s, %s, 'bookmark', %s, %s, %s) ON CONFLICT DO NOTHING",
                (case, number, item, note, who, time.time()),
            )
            return cursor.rowcount > 0

    def write_note(self, case: int, gallery: str, item: int, *, who: str, note: str, version: int) -> int:
        """Change the note of a bookmark; return the new version."""
        _check_note(note)
        where = "case_id = %s AND query IS NULL AND gallery = %s AND item = %s"
        with self._connections.transaction() as cursor:
            _touch(cursor, case)
            place = (case, _gallery(cursor, gallery), item)
            found = cursor.execute(f"SELECT version, note, who FROM case_rows WHERE {where}", place).fetchone()
            if found is None:
                raise DataError(f"case {case} has no bookmark of row {item} of gallery {gallery!r}: it was removed")
            if found[0] != version:
                raise CaseChangedError(found[2], text=found[1], version=found[0])
            cursor.execute(
                f"UPDATE case_rows SET note = %s, who = %s, version = version + 1 WHERE {where}",
                (note, who, *place),
            )
        return version + 1

    def remove_bookmark(self, case: int, gallery: str, item: int) -> bool:
        """Remove a bookmark with its note; return whether there was one."""
        with self._connections.transaction() as cursor:
            _touch(cursor, case)
            cursor.execute(
                "DELETE FROM case_rows WHERE case_id = %s AND query IS NULL AND gallery = %s AND item = %s",
                (case, _gallery(cursor, gallery), item),
            )
            return cursor.rowcount > 0

    def _rewrite(self, *tables: str) -> None:
        """Rewrite tables, so that nothing of what was removed is left in the server's files."""
        with self._connections.outside() as cursor:
            for table in tables:
                cursor.execute(f"VACUUM (FULL) {table}")
            partitions.forget_log(cursor)


def _queries(cursor: psycopg.Cursor, case: int) -> tuple[CaseQuery, ...]:
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
    for number, gallery, name, settings, hash, pictures, others, who, moment in cursor.fetchall():
        sides = {kind: tuple(sorted(rows.get((number, kind), ()))) for kind in KINDS}
        found.append(
            CaseQuery(
                number, gallery, name, settings, hash, tuple(pictures), positives=sides["positive"],
                negatives=sides["negative"], confirmed=sides["confirmed"], rejected=sides["rejected"],
                others=tuple(others), who=who, time=moment,
            )
        )  # fmt: skip
    return tuple(found)


def _touch(cursor: psycopg.Cursor, case: int) -> None:
    """Note that a case changes; others who change it wait until this is done."""
    cursor.execute("UPDATE cases SET changed = %s WHERE id = %s", (time.time(), case))
    if not cursor.rowcount:
        raise _missing(case)


def _room(cursor: psycopg.Cursor, where: str, case: int, most: int, what: str) -> None:
    found = cursor.execute(f"SELECT count(*) FROM {where}", (case,)).fetchone()
    if found and found[0] >= most:
        raise DataError(f"a case has at most {most:,} {what}: begin another one")


def _gallery(cursor: psycopg.Cursor, name: str) -> int:
    found = cursor.execute("SELECT id FROM galleries WHERE name = %s", (name,)).fetchone()
    if found is None:
        raise DataError(f"there is no gallery {name!r}")
    return int(found[0])


def _gallery_of(cursor: psycopg.Cursor, name: str, items: Sequence[int]) -> int:
    """Return the number of a gallery that has these rows, and keeps them until the transaction ends.

    Whoever removes rows locks the gallery, then cases: so does this, or each would wait for the other.
    """
    number = _gallery(cursor, name)
    cursor.execute("SELECT 1 FROM galleries WHERE id = %s FOR SHARE", (number,))
    cursor.execute("SELECT id FROM items WHERE gallery = %s AND id = ANY(%s)", (number, list(items)))
    missing = set(items) - {item for (item,) in cursor.fetchall()}
    if missing:
        raise DataError(f"gallery {name!r} has no row {min(missing)}: was it deleted?")
    return number


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise DataError(f"a name has 1 to {MAX_NAME} letters that can be printed, got {name[:40]!r}")
    return name


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE:
        raise DataError(f"the note of a bookmark has at most {MAX_NOTE:,} characters, got {len(note):,}")


def _missing(case: int) -> DataError:
    return DataError(f"there is no case {case}: was it deleted?")


def _taken(name: str) -> DataError:
    return DataError(f"there is a case {name!r} already: take another name")
