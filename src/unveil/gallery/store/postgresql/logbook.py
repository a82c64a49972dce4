"""The audit log in the database; `unveil.gallery.audit` says what a chain is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from unveil.gallery import audit

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.connections import Connections

PAGE = 1_000
LAST_NUMBER = 2**63 - 1


def append(connections: Connections, entry: Mapping[str, Any]) -> str:
    """Append an entry; return its hash."""
    fields = audit.checked(entry)
    with connections.transaction() as cursor:
        # Writers queue here, so that no two entries follow the same one.
        number, previous = cursor.execute("SELECT number, hash FROM audit_head FOR UPDATE").fetchone()  # type: ignore[misc]
        link = audit.sealed(fields, number + 1, time=time.time(), previous=previous)
        cursor.execute(
            "INSERT INTO audit VALUES (%s, %s, %s, %s, %s)",
            (link.number, fields.get("gallery"), link.text, link.previous, link.hash),
        )
        cursor.execute("UPDATE audit_head SET number = %s, hash = %s", (link.number, link.hash))
    return link.hash


def page(connections: Connections, after: int, *, limit: int, gallery: str | None = None) -> list[audit.Link]:
    """Return the next entries with a number greater than ``after``, of one gallery or whole."""
    with connections.transaction() as cursor:
        cursor.execute(
            "SELECT number, entry, previous, hash FROM audit WHERE number > %(after)s "
            "AND (%(gallery)s::text IS NULL OR gallery = %(gallery)s) ORDER BY number LIMIT %(limit)s",
            {"after": min(after, LAST_NUMBER), "limit": limit, "gallery": gallery},
        )
        return [audit.Link(*row) for row in cursor.fetchall()]


def links(connections: Connections) -> Iterator[audit.Link]:
    """Return the log as it is stored, in order."""
    after = 0
    while True:
        found = page(connections, after, limit=PAGE)
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1].number


def head(connections: Connections) -> tuple[int, str]:
    """Return number and hash that the last entry must have."""
    with connections.transaction() as cursor:
        return cursor.execute("SELECT number, hash FROM audit_head").fetchone()  # type: ignore[return-value]
