"""Crops in tracklets, a small model, and a gallery of both on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracked import PEOPLE, write_tracklets

from command_line import runner_on
from own_postgres import NewDatabase
from untrained import make_model
from unveil.datasets.sources import crops_of
from unveil.gallery.store.opening import open_store
from unveil.models.checkpoint import TrainedModel, load_model
from unveil.records import Dataset


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tracklets(tmp_path_factory.mktemp("crops"), people=PEOPLE)


@pytest.fixture(scope="session")
def dataset(manifest: Path) -> Dataset:
    return crops_of(str(manifest))


@pytest.fixture
def model(tmp_path: Path) -> TrainedModel:
    return load_model(make_model(tmp_path / "base", height=64, width=32))


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("base"), height=64, width=32)


@pytest.fixture(scope="session")
def server(new_database: NewDatabase) -> str:
    """Address of a store for the tests of this folder."""
    return new_database(True)


@pytest.fixture
def command(server, monkeypatch, capsys):
    """Return a function that runs ``unveil`` on the session's server; galleries are gone afterwards."""
    yield runner_on(server, monkeypatch, capsys)
    store = open_store(server)
    for info in store.galleries():
        store.drop(info.name)
    store.close()


@pytest.fixture
def store(server):
    found = open_store(server)
    yield found
    found.close()


@pytest.fixture
def shop(command, base, manifest):
    """A gallery of 192 crops in 48 tracklets; two people at a time are before each of two cameras."""
    command("gallery", "add", manifest, "--gallery", "shop", "--model", base, "--engine", "torch", "--no-parser",
            "--start-time", "2026-03-02T08:00")  # fmt: skip
    return "shop"
