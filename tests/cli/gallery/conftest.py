"""``unveil gallery`` on the session's server, with a small real model."""

from __future__ import annotations

from functools import partial

import pytest

from own_postgres import NewDatabase
from untrained import make_model
from unveil.cli import main


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

    def run(*words: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words), "--store", server])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out, err

    return run


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
