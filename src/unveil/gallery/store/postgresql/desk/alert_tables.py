"""Alerts of watches in PostgreSQL, so that every page of the store shows them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from unveil.gallery.alert_records import Alert
from unveil.gallery.store.postgresql.galleries import find_gallery
from unveil.gallery.store.postgresql.items import partitions

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.connections import Connections

MAX_KEPT = 10_000  # of a gallery
LAST = 2**62


class StoredAlert(NamedTuple):
    """An alert with its number, and when it was raised, seconds since the epoch."""

    id: int
    raised: float
    alert: Alert


class AlertTables:
    """The alerts of a store; every method is one transaction.

    Args:
        connections: to the store.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, gallery: str, alert: Alert) -> int:
        """Keep an alert, of many the newest; return its number. DataError when there is no such gallery."""
        told = {name: value for name, value in asdict(alert).items() if name != "image"}
        with self._connections.transaction() as cursor:
            number = find_gallery(cursor, gallery)[0]
            made = cursor.execute(
                "INSERT INTO alerts (gallery, raised, alert, picture) VALUES (%s, %s, %s, %s) RETURNING id",
                (number, time.time(), json.dumps(told), alert.image),
            ).fetchone()
            cursor.execute(
                "DELETE FROM alerts WHERE gallery = %(gallery)s AND id <= (SELECT id FROM alerts "
                "WHERE gallery = %(gallery)s ORDER BY id DESC OFFSET %(most)s LIMIT 1)",
                {"gallery": number, "most": MAX_KEPT},
            )
        assert made is not None
        return int(made[0])

    def newest(self, gallery: str, limit: int = 100, *, after: int = 0, up_to: int = LAST) -> list[StoredAlert]:
        """Return the newest alerts of a gallery with a number from ``after`` + 1 to ``up_to``, the newest first."""
        with self._connections.transaction() as cursor:
            cursor.execute(
                "SELECT id, raised, alert, picture FROM alerts WHERE gallery = %s AND id > %s AND id <= %s "
                "ORDER BY id DESC LIMIT %s",
                (find_gallery(cursor, gallery)[0], after, up_to, limit),
            )
            rows = cursor.fetchall()
        return [
            StoredAlert(number, raised, Alert(**{**told, "box": tuple(told["box"])}, image=bytes(image)))
            for number, raised, told, image in rows
        ]

    def remove(self, gallery: str, *, before: float = float("inf")) -> int:
        """Remove the alerts of a gallery that were raised before a moment, and their bytes; return how many."""
        with self._connections.transaction() as cursor:
            number = find_gallery(cursor, gallery)[0]
            cursor.execute("DELETE FROM alerts WHERE gallery = %s AND raised < %s", (number, before))
            gone = cursor.rowcount
        if gone:
            with self._connections.outside() as cursor:
                cursor.execute("VACUUM (FULL) alerts")
                partitions.forget_log(cursor)
        return gone
