"""The part of a store that reads and fills in what people of rows wear and carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from unveil.attributes.records import Attributes
from unveil.gallery.records import Filter, Item, Kind
from unveil.gallery.store.postgresql.galleries import find_gallery, reading_gallery
from unveil.gallery.store.postgresql.items import reading

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections


class AttributeRows:
    """See `unveil.gallery.store.protocol.Store`."""

    _connections: Connections

    def surest(self, name: str, where: Filter, *, limit: int) -> list[Item]:
        """Return rows, those first of which the attributes that a filter asks for are surest, then the earliest."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            return reading.surest(cursor, gallery, where=where, limit=limit)

    def count_without_attributes(self, name: str) -> int:
        """Return how many rows have no attributes yet."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            cursor.execute("SELECT count(*) FROM items WHERE gallery = %s AND attributes IS NULL", (gallery,))
            found = cursor.fetchone()
            return int(found[0]) if found else 0

    def missing_attributes(self, name: str, kind: Kind, *, limit: int = 64, after: int = 0) -> np.ndarray:
        """Return ids of rows of a kind, greater than ``after``, that have no attributes yet, ascending."""
        with reading_gallery(self._connections, name) as (cursor, gallery, _):
            cursor.execute(
                "SELECT id FROM items WHERE gallery = %s AND kind = %s AND id > %s AND attributes IS NULL "
                "ORDER BY id LIMIT %s",
                (gallery, kind, after, limit),
            )
            return np.array([number for (number,) in cursor.fetchall()], np.int64)

    def fill_attributes(self, name: str, found: Mapping[int, Attributes]) -> int:
        """Keep the attributes of rows, by id; rows that are gone are left out; return how many were kept."""
        texts = [json.dumps(attributes.to_dict()) for attributes in found.values()]
        with self._connections.transaction() as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            cursor.execute(
                "UPDATE items i SET attributes = n.told::jsonb FROM unnest(%s::bigint[], %s::text[]) n (id, told) "
                "WHERE i.gallery = %s AND i.id = n.id",
                (list(map(int, found)), texts, gallery),
            )
            kept = cursor.rowcount
            _changed(cursor, gallery)
        return kept

    def forget_attributes(self, name: str) -> int:
        """Take the attributes of all rows away, so that they are estimated anew; return of how many."""
        with self._connections.transaction(None) as cursor:
            gallery, _ = find_gallery(cursor, name, lock=True)
            cursor.execute(
                "UPDATE items SET attributes = NULL WHERE gallery = %s AND attributes IS NOT NULL", (gallery,)
            )
            gone = cursor.rowcount
            _changed(cursor, gallery)
        return gone


def _changed(cursor: psycopg.Cursor, gallery: int) -> None:
    """Say that filters may let other rows through than they did."""
    cursor.execute("UPDATE galleries SET revision = nextval('revisions') WHERE id = %s", (gallery,))
