"""A run that several tests look at, copy and resume."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import recipe

from unveil.training.loop import train


@pytest.fixture(scope="session")
def four(manifest, tmp_path_factory) -> Path:
    """A run of four epochs without interruption."""
    out = tmp_path_factory.mktemp("four")
    train(recipe(manifest, "train.epochs=4"), out / "run")
    return out / "run"
