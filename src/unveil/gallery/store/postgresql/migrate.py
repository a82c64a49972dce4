"""Bring the tables of the store to the newest version, by the SQL files in ``migrations`` in order."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from unveil.errors import UnveilError

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

OLDEST_PGVECTOR = (0, 8)  # index scans that continue until a filter is satisfied
LOCK = 7_238_650_112  # any number that nobody else locks


def migrations() -> list[tuple[int, str]]:
    """Return version and SQL of every migration, ascending."""
    files = [f for f in (resources.files(__package__) / "migrations").iterdir() if f.name.endswith(".sql")]
    return sorted((int(f.name[:4]), f.read_text(encoding="utf-8")) for f in files)


def migrate(connections: Connections) -> None:
    """Make what is missing; processes that do so at once wait for each other.

    Raises:
        UnveilError: the tables were made by a newer version, or the server has no pgvector or an old one.
    """
    steps = migrations()
    newest = steps[-1][0]
    with connections.transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        _extension(connections, cursor)
        cursor.execute("CREATE SCHEMA IF NOT EXISTS unveil")
        cursor.execute("SELECT set_config('search_path', %s, true)", (connections.search_path,))
        cursor.execute("CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY)")
        cursor.execute("SELECT coalesce(max(version), 0) FROM schema_version")
        there = cursor.fetchone()[0]  # type: ignore[index]
        if there > newest:
            raise UnveilError(
                f"the store at {connections.where} was written by a newer version of unveil (its tables are version "
                f"{there}, this one knows {newest}): update unveil; nothing was changed"
            )
        for version, sql in steps:
            if version > there:
                cursor.execute(sql.encode())
                cursor.execute("INSERT INTO schema_version VALUES (%s)", (version,))


def _extension(connections: Connections, cursor: psycopg.Cursor) -> None:
    query = (
        "SELECT nspname, extversion FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    found = cursor.execute(query).fetchone()
    if found is None:
        if not cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
            raise UnveilError(f"the server at {connections.where} has no pgvector: install it on the server")
        cursor.execute("CREATE EXTENSION vector SCHEMA public")
        found = cursor.execute(query).fetchone()
    schema, version = found  # type: ignore[misc]
    if tuple(int(n) for n in version.split(".")[:2]) < OLDEST_PGVECTOR:
        raise UnveilError(f"the server at {connections.where} has pgvector {version}: at least 0.8 is needed")
    connections.search_path = f'unveil, "{schema}"'
