"""Cases in PostgreSQL, beside the galleries that they are about; with Milvus too, as that holds vectors alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unveil.errors import DataError, nearest
from unveil.gallery.case_records import (
    MAX_BOOKMARKS,
    MAX_MEMBERS,
    MAX_QUERIES,
    MAX_TEXT,
    Bookmark,
    Case,
    CaseChangedError,
    CaseSummary,
    NewQuery,
    QueryImage,
    Removal,
)
from unveil.gallery.store.postgresql.desk import case_rows
from unveil.gallery.store.postgresql.items import partitions

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.connections import Connections

from unveil.gallery.store.postgresql.desk.case_checks import (
    check_note,
    check_room,
    checked_name,
    gallery_number,
    gallery_with_rows,
    name_taken,
    no_such_case,
    touch,
)
from unveil.gallery.store.postgresql.desk.case_searches import insert_search, rows_of, searches_of


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
        """Return a case with everything in it but images."""
        with self._connections.transaction() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            row = cursor.execute(
                "SELECT id, name, notes, creator, created, changed, version, written_by FROM cases WHERE id = %s",
                (case,),
            ).fetchone()
            if row is None:
                raise no_such_case(case)
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
                members=members, queries=searches_of(cursor, case), bookmarks=bookmarks, removals=removals,
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
        name, now = checked_name(name), time.time()
        with self._connections.transaction() as cursor:
            made = cursor.execute(
                "INSERT INTO cases (name, creator, created, changed, written_by) VALUES (%s, %s, %s, %s, %s) "
                "ON CONFLICT (name) DO NOTHING RETURNING id",
                (name, who, now, now, who),
            ).fetchone()
        if made is None:
            raise name_taken(name)
        return self.get(made[0])

    def delete(self, case: int) -> None:
        """Remove a case with everything in it, and its bytes; rows of galleries stay."""
        with self._connections.transaction() as cursor:
            if cursor.execute("DELETE FROM cases WHERE id = %s RETURNING id", (case,)).fetchone() is None:
                raise no_such_case(case)
        self._rewrite("cases", "case_members", *case_rows.TABLES)

    def write(self, case: int, who: str, *, name: str, notes: str, version: int) -> int:
        """Change name and notes; return the new version."""
        name = checked_name(name)
        if len(notes) > MAX_TEXT:
            raise DataError(f"the notes of a case have at most {MAX_TEXT:,} characters, got {len(notes):,}")
        with self._connections.transaction() as cursor:
            found = cursor.execute(
                "SELECT version, notes, written_by FROM cases WHERE id = %s FOR UPDATE", (case,)
            ).fetchone()
            if found is None:
                raise no_such_case(case)
            if found[0] != version:
                raise CaseChangedError(found[2], text=found[1], version=found[0])
            taken = "SELECT 1 FROM cases WHERE name = %s AND id <> %s"
            if cursor.execute(taken, (name, case)).fetchone():
                raise name_taken(name)
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
            touch(cursor, case)
            cursor.execute("DELETE FROM case_members WHERE case_id = %s", (case,))
            for who in dict.fromkeys(members):
                cursor.execute("INSERT INTO case_members VALUES (%s, %s)", (case, who))

    def add_query(self, case: int, gallery: str, *, query: NewQuery, who: str) -> int:
        """Keep a search; return its number."""
        name = checked_name(query.name)
        rows = rows_of(query)
        with self._connections.transaction() as cursor:
            number = gallery_with_rows(cursor, gallery, items=[item for _, item in rows])
            touch(cursor, case)
            check_room(cursor, "case_queries WHERE case_id = %s", case=case, most=MAX_QUERIES, what="searches")
            return insert_search(cursor, case, gallery=number, name=name, query=query, rows=rows, who=who)

    def remove_query(self, case: int, query: int) -> None:
        """Remove a search, with the bytes of its images."""
        with self._connections.transaction() as cursor:
            touch(cursor, case)
            cursor.execute("DELETE FROM case_queries WHERE case_id = %s AND id = %s", (case, query))
            if not cursor.rowcount:
                raise DataError(f"case {case} has no search {query}")
        self._rewrite(*case_rows.TABLES)

    def images(self, case: int, query: int) -> list[QueryImage]:
        """Return the images of a search, in order."""
        with self._connections.reading(
            "SELECT p.picture, p.negative FROM case_pictures p JOIN case_queries q ON q.id = p.query "
            "WHERE q.case_id = %(case)s AND q.id = %(query)s ORDER BY p.number",
            {"case": case, "query": query},
        ) as cursor:
            return [QueryImage(bytes(data), negative) for data, negative in cursor.fetchall()]

    def bookmark(self, case: int, gallery: str, *, item: int, who: str, note: str = "") -> bool:
        """Add a row; return False when the case has it already, and then change nothing."""
        check_note(note)
        with self._connections.transaction() as cursor:
            number = gallery_with_rows(cursor, gallery, items=[item])
            touch(cursor, case)
            check_room(
                cursor,
                "case_rows WHERE query IS NULL AND case_id = %s",
                case=case,
                most=MAX_BOOKMARKS,
                what="bookmarks",
            )
            cursor.execute(
                "INSERT INTO case_rows (case_id, gallery, item, kind, note, who, moment) "
                "VALUES (%s, %s, %s, 'bookmark', %s, %s, %s) ON CONFLICT DO NOTHING",
                (case, number, item, note, who, time.time()),
            )
            return cursor.rowcount > 0

    def write_note(self, case: int, gallery: str, *, item: int, who: str, note: str, version: int) -> int:
        """Change the note of a bookmark; return the new version."""
        check_note(note)
        where = "case_id = %s AND query IS NULL AND gallery = %s AND item = %s"
        with self._connections.transaction() as cursor:
            touch(cursor, case)
            place = (case, gallery_number(cursor, gallery), item)
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

    def remove_bookmark(self, case: int, gallery: str, *, item: int) -> bool:
        """Remove a bookmark with its note; return whether there was one."""
        with self._connections.transaction() as cursor:
            touch(cursor, case)
            cursor.execute(
                "DELETE FROM case_rows WHERE case_id = %s AND query IS NULL AND gallery = %s AND item = %s",
                (case, gallery_number(cursor, gallery), item),
            )
            return cursor.rowcount > 0

    def _rewrite(self, *tables: str) -> None:
        """Rewrite tables, so that nothing of what was removed is left in the server's files."""
        with self._connections.outside() as cursor:
            for table in tables:
                cursor.execute(f"VACUUM (FULL) {table}")
            partitions.forget_log(cursor)
