"""A small generated dataset for all tests, and caches of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from generated import write_crops
from unveil.progress import show_progress


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 12 people, 2 cameras, 72 crops; half of the people are for testing."""
    return write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caches of tests apart from the user's, and silence what an earlier command switched on."""
    show_progress(False)
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
