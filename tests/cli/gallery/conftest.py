"""``unveil gallery`` on the session's server, with a small real model."""

from __future__ import annotations

from functools import partial

import pytest

from command_line import runner_on
from own_postgres import NewDatabase
from untrained import make_model


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this folder."""
    return new_database(True)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("model"), height=64, width=32)


@pytest.fixture
def command(server, monkeypatch, capsys):
    """Return a function that runs ``unveil`` on the session's server, and gives what it printed."""
    return runner_on(server, monkeypatch, capsys)


@pytest.fixture
def search(command):
    """Return a function that runs ``unveil search`` on the session's server."""
    return partial(command, "search")


@pytest.fixture
def gallery(command, server):
    """Return a function that runs ``unveil gallery`` on the session's server; galleries it made are gone afterwards."""
    from unveil.gallery.store.opening import open_store

    yield partial(command, "gallery")
    store = open_store(server)
    for info in store.galleries():
        store.drop(info.name)
    store.close()
