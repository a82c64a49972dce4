"""A few rendered crops of people that no parser was trained on, rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from unveil.world.config import World
from unveil.world.generate import render_world

UNSEEN = World(people=4, outfits=1, visits=3, frames=1, cameras=4, seed=11)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a world with 12 crops, 6 of them to train on."""
    folder = tmp_path_factory.mktemp("rendered") / "world"
    render_world(UNSEEN, folder, processes=1)
    return folder
