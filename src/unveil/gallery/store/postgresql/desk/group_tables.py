"""Probable people in PostgreSQL, beside the rows that they are made of; with Milvus too: that holds vectors alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from unveil.errors import DataError
from unveil.gallery.group_records import (
    MAX_TOGETHER,
    ByHand,
    GroupChangedError,
    GroupedRow,
    Grouping,
    GroupingState,
    ProbablePerson,
)
from unveil.gallery.scoring import calibration
from unveil.gallery.store.postgresql.desk import group_rows
from unveil.gallery.store.postgresql.galleries import find_gallery
from unveil.gallery.store.postgresql.items import partitions

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

Order = Literal["rows", "time"]
MAX_LISTED = 1_000
_ORDER: Mapping[Order, str] = {"rows": "count(*) DESC, min(i.moment), r.person", "time": "min(i.moment), r.person"}


class GroupTables:
    """The probable people of the galleries of a store; every method is one transaction.

    Args:
        connections: to the store.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def state(self, gallery: str) -> GroupingState | None:
        """Return how a gallery was grouped and what became of it; ``None`` when nobody grouped it."""
        with self._connections.transaction() as cursor:
            number, info = find_gallery(cursor, gallery)
            made = cursor.execute(
                "SELECT made, fingerprint, mode, threshold, calibrated, source, removed FROM groupings "
                "WHERE gallery = %s",
                (number,),
            ).fetchone()
            if made is None:
                return None
            grouping = Grouping(*made)
            cursor.execute("SELECT count(DISTINCT person), count(*) FROM grouped_rows WHERE gallery = %s", (number,))
            people, rows = cursor.fetchone() or (0, 0)
            cursor.execute(
                "SELECT count(*) FROM items i WHERE i.gallery = %s AND (i.kind = 'tracklet' OR i.tracklet IS NULL) "
                "AND NOT EXISTS (SELECT FROM grouped_rows r WHERE r.gallery = i.gallery AND r.item = i.id)",
                (number,),
            )
            (ungrouped,) = cursor.fetchone() or (0,)
        other = grouping.fingerprint != info.space.fingerprint
        fitted = None if other else calibration.of(info, grouping.mode)
        changed = grouping.calibrated and not other and (fitted is None or fitted.threshold != grouping.threshold)
        return GroupingState(grouping, people, rows, ungrouped, other_model=other, recalibrated=changed)

    def people(
        self, gallery: str, limit: int = 60, *, offset: int = 0, order: Order = "rows", least: int = 1
    ) -> list[ProbablePerson]:
        """Return probable people.

        Args:
            gallery: name of it.
            limit: at most so many.
            offset: after so many.
            order: those with the most rows first, or those who were seen first.
            least: rows that a person has at least.
        """
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery)
            end = f"HAVING count(*) >= %(least)s ORDER BY {_ORDER[order]} LIMIT %(limit)s OFFSET %(offset)s"
            values = {"least": least, "limit": min(limit, MAX_LISTED), "offset": offset}
            return _people(cursor, number, where="", values=values, end=end)

    def person(self, gallery: str, person: int) -> tuple[ProbablePerson, list[GroupedRow]]:
        """Return a probable person with the rows, the one that is farthest from the others first.

        Raises:
            DataError: there is none of that number.
        """
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery)
            found = _people(cursor, number, where="AND r.person = %(person)s", values={"person": person})
            if not found:
                raise _missing(gallery, person)
            cursor.execute(
                "SELECT item, distance FROM grouped_rows WHERE gallery = %s AND person = %s "
                "ORDER BY distance DESC NULLS LAST, item",
                (number, person),
            )
            return found[0], [GroupedRow(*row) for row in cursor.fetchall()]

    def by_hand(self, gallery: str) -> ByHand:
        """Return what was said of groups by hand."""
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery)
            version = cursor.execute("SELECT version FROM groupings WHERE gallery = %s", (number,)).fetchone()
            cursor.execute("SELECT item, said FROM grouped_rows WHERE gallery = %s AND said IS NOT NULL", (number,))
            labels = dict(cursor.fetchall())
            cursor.execute("SELECT a, b FROM people_apart WHERE gallery = %s", (number,))
            return ByHand(version[0] if version else 0, labels, frozenset(cursor.fetchall()))

    def replace(self, gallery: str, grouping: Grouping, *, groups: Iterable[Sequence[GroupedRow]], version: int) -> int:
        """Put new groups in the place of those before; what was said by hand stays. Return how many people there are.

        Args:
            gallery: name of it.
            grouping: how they were made.
            groups: the rows of each; rows that are gone meanwhile are left out.
            version: of what was said by hand when they were made.

        Raises:
            GroupChangedError: somebody said something by hand meanwhile.
            DataError: the gallery was switched to another model meanwhile.
        """
        with self._connections.transaction(600.0) as cursor:
            number, info = find_gallery(cursor, gallery, lock=True)
            if info.space.fingerprint != grouping.fingerprint:
                raise DataError(f"gallery {gallery!r} was switched to another model while it was grouped: group again")
            found = cursor.execute("SELECT version FROM groupings WHERE gallery = %s", (number,)).fetchone()
            if (found[0] if found else 0) != version:
                raise GroupChangedError(f"somebody split or merged people of {gallery!r} while it was grouped")
            cursor.execute("SELECT item, person, said FROM grouped_rows WHERE gallery = %s", (number,))
            before = {item: (person, said) for item, person, said in cursor.fetchall()}
            numbered = list(_numbered(cursor, groups, before={item: person for item, (person, _) in before.items()}))
            cursor.execute("DELETE FROM grouped_rows WHERE gallery = %s", (number,))
            rows = [(row.item, person, row.distance, before.get(row.item, (0, None))[1])
                    for person, group in numbered for row in group]  # fmt: skip
            cursor.execute(
                "INSERT INTO grouped_rows SELECT %s, n.item, n.person, n.distance, n.said "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::bigint[]) AS n (item, person, distance, "
                "said) WHERE EXISTS (SELECT FROM items i WHERE i.gallery = %s AND i.id = n.item)",
                (number, *(list(column) for column in zip(*rows, strict=True)), number) if rows
                else (number, [], [], [], [], number),
            )  # fmt: skip
            group_rows.drop_unused(cursor, number)
            cursor.execute(
                "INSERT INTO groupings (gallery, made, fingerprint, mode, threshold, calibrated, source) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (gallery) DO UPDATE SET made = excluded.made, "
                "fingerprint = excluded.fingerprint, mode = excluded.mode, threshold = excluded.threshold, "
                "calibrated = excluded.calibrated, source = excluded.source, removed = 0",
                (number, grouping.made, grouping.fingerprint, grouping.mode, grouping.threshold, grouping.calibrated,
                 grouping.source),
            )  # fmt: skip
            cursor.execute("SELECT count(DISTINCT person) FROM grouped_rows WHERE gallery = %s", (number,))
            return int((cursor.fetchone() or (0,))[0])

    def split(self, gallery: str, person: int, *, items: Sequence[int]) -> int:
        """Say that some rows of a probable person are another one; return the number of the new person.

        Raises:
            GroupChangedError: one of the rows is not in that group any more.
            DataError: no row is named, or all of the group's.
        """
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery, lock=True)
            there = _members(cursor, gallery, gallery=number, person=person)
            wanted = list(dict.fromkeys(items))
            if missing := set(wanted) - set(there):
                raise GroupChangedError(
                    f"row {min(missing)} is no row of person {person} any more: look again; nothing was changed"
                )
            if not 0 < len(wanted) < len(there):
                raise DataError(
                    f"person {person} has {len(there)} rows: name some of them to split off, not {len(wanted)}"
                )
            made = cursor.execute("SELECT nextval('group_numbers')").fetchone()
            assert made is not None
            label = group_rows.relabel(cursor, number, items=wanted)
            cursor.execute(
                "UPDATE grouped_rows SET person = %s WHERE gallery = %s AND item = ANY(%s)", (made[0], number, wanted)
            )
            group_rows.set_apart(cursor, number, label=label, person=person)
            _said(cursor, number)
        return int(made[0])

    def merge(self, gallery: str, person: int, *, other: int) -> list[int]:
        """Say that two probable people are one; the first keeps its number. Return the rows of the other.

        Raises:
            DataError: they are one already, or there is none of a number.
        """
        if person == other:
            raise DataError(f"person {person} is merged with another one, not with itself")
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery, lock=True)
            kept, joined = (_members(cursor, gallery, gallery=number, person=one) for one in (person, other))
            if len(kept) + len(joined) > MAX_TOGETHER:
                raise DataError(
                    f"two people of {len(kept):,} and {len(joined):,} rows: at most {MAX_TOGETHER:,} merged"
                )
            group_rows.relabel(cursor, number, items=kept + joined)
            cursor.execute(
                "UPDATE grouped_rows SET person = %s WHERE gallery = %s AND person = %s", (person, number, other)
            )
            _said(cursor, number)
        return joined

    def remove(self, gallery: str) -> int:
        """Remove the groups of a gallery with all that was said of them; return how many rows were grouped."""
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery, lock=True)
            cursor.execute("DELETE FROM grouped_rows WHERE gallery = %s", (number,))
            gone = cursor.rowcount
            cursor.execute("DELETE FROM people_apart WHERE gallery = %s", (number,))
            cursor.execute("DELETE FROM groupings WHERE gallery = %s", (number,))
        with self._connections.outside() as cursor:
            for table in group_rows.TABLES:
                cursor.execute(f"VACUUM (FULL) {table}")
            partitions.forget_log(cursor)
        return gone


def _people(
    cursor: psycopg.Cursor, gallery: int, *, where: str, values: Mapping[str, int], end: str = ""
) -> list[ProbablePerson]:
    cursor.execute(
        "SELECT r.person, count(*), coalesce(array_agg(DISTINCT i.camera ORDER BY i.camera) "
        "FILTER (WHERE i.camera IS NOT NULL), '{}'), min(i.moment), max(coalesce(i.until, i.moment)), "
        "(array_agg(r.item ORDER BY i.quality DESC NULLS LAST, r.item))[1:4], count(r.said) "
        "FROM grouped_rows r JOIN items i ON i.gallery = r.gallery AND i.id = r.item "
        f"WHERE r.gallery = %(gallery)s AND i.gallery = %(gallery)s {where} GROUP BY r.person {end}",
        {"gallery": gallery, **values},
    )
    return [
        ProbablePerson(number, rows, tuple(cameras), start, finish, tuple(images), said)
        for number, rows, cameras, start, finish, images, said in cursor.fetchall()
    ]


def _members(cursor: psycopg.Cursor, name: str, *, gallery: int, person: int) -> list[int]:
    cursor.execute("SELECT item FROM grouped_rows WHERE gallery = %s AND person = %s ORDER BY item", (gallery, person))
    found = [item for (item,) in cursor.fetchall()]
    if not found:
        raise _missing(name, person)
    return found


def _numbered(
    cursor: psycopg.Cursor, groups: Iterable[Sequence[GroupedRow]], *, before: Mapping[int, int]
) -> list[tuple[int, Sequence[GroupedRow]]]:
    """Return groups with numbers: of an old group, the new one with the most of its rows keeps the number."""
    groups = [group for group in groups if group]
    shared = Counter((before[row.item], n) for n, group in enumerate(groups) for row in group if row.item in before)
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    for (person, n), _ in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])):
        if n not in numbers and person not in taken:
            numbers[n] = person
            taken.add(person)
    fresh = [n for n in range(len(groups)) if n not in numbers]
    cursor.execute("SELECT nextval('group_numbers') FROM generate_series(1, %s)", (len(fresh),))
    numbers |= {n: made for n, (made,) in zip(fresh, cursor.fetchall(), strict=True)}
    return [(numbers[n], group) for n, group in enumerate(groups)]


def _said(cursor: psycopg.Cursor, gallery: int) -> None:
    group_rows.drop_unused(cursor, gallery)
    cursor.execute("UPDATE groupings SET version = version + 1 WHERE gallery = %s", (gallery,))


def _missing(gallery: str, person: int) -> DataError:
    return DataError(f"gallery {gallery!r} has no person {person}: the groups were made anew, or its rows deleted")
