"""Feedback of people on results: rows that they confirmed or rejected for a query."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from unveil.errors import DataError
from unveil.gallery.records import Mode
from unveil.gallery.store.postgresql.galleries import find_gallery, reading_gallery

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.connections import Connections


class FeedbackTables:
    """The feedback on results in the galleries of a store; every method is one transaction.

    Args:
        connections: to the store.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def give(
        self,
        gallery: str,
        query: str,
        *,
        item: int,
        same: bool,
        who: str,
        distances: Mapping[Mode, float] | None = None,
    ) -> None:
        """Keep that a row shows, or does not show, the person of a query; later feedback replaces earlier feedback.

        Args:
            gallery: name of the gallery.
            query: hash of the query.
            item: number of the row.
            same: whether both are one person: True confirms, False rejects.
            who: says so.
            distances: of the row from the query, in each mode; what is not given is not known.

        Raises:
            DataError: there is no such row.
        """
        known = distances or {}
        with self._connections.transaction() as cursor:
            number, info = find_gallery(cursor, gallery)
            if not cursor.execute("SELECT 1 FROM items WHERE gallery = %s AND id = %s", (number, item)).fetchone():
                raise DataError(f"gallery {gallery!r} has no row {item}")
            cursor.execute(
                "INSERT INTO judgements "
                "(gallery, query, item, same, who, moment, distance_same, distance_changed, model) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (gallery, query, item) DO UPDATE SET "
                "same = excluded.same, who = excluded.who, moment = excluded.moment, model = excluded.model, "
                "distance_same = excluded.distance_same, distance_changed = excluded.distance_changed",
                (
                    *(number, query, item, same, who, time.time(), known.get("same"), known.get("changed")),
                    info.space.fingerprint,
                ),
            )

    def take_back(self, gallery: str, query: str, *, item: int) -> None:
        """Forget what was said of a row for a query; where nothing was said, nothing is done.

        Args:
            gallery: name of the gallery.
            query: hash of the query.
            item: number of the row.

        Raises:
            DataError: there is no such gallery.
        """
        with self._connections.transaction() as cursor:
            number, _ = find_gallery(cursor, gallery)
            cursor.execute(
                "DELETE FROM judgements WHERE gallery = %s AND query = %s AND item = %s", (number, query, item)
            )

    def all(self, gallery: str) -> list[tuple[str, int, bool]]:
        """Return all feedback, the oldest first: query hash, row, same person."""
        with reading_gallery(self._connections, gallery) as (cursor, number, _):
            cursor.execute(
                "SELECT query, item, same FROM judgements WHERE gallery = %s ORDER BY moment, query, item", (number,)
            )
            return cursor.fetchall()

    def distances(self, gallery: str, mode: Mode) -> list[tuple[str, bool, float]]:
        """Return the feedback whose distance from the query is known in a mode: query hash, same person, distance.

        Distances of another model than the gallery's are left out: they are on another scale.
        """
        column = {"same": "distance_same", "changed": "distance_changed"}[mode]
        with reading_gallery(self._connections, gallery) as (cursor, number, info):
            cursor.execute(
                f"SELECT query, same, {column} FROM judgements WHERE gallery = %s AND {column} IS NOT NULL "
                "AND model = %s ORDER BY moment, query, item",
                (number, info.space.fingerprint),
            )
            return cursor.fetchall()
