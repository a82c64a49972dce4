"""A few rendered crops of people that no parser was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from generated import render_kept
from unveil.world.config import World

UNSEEN = World(people=4, outfits=1, visits=3, frames=1, cameras=4, seed=11)


@pytest.fixture(scope="session")
def rendered(request: pytest.FixtureRequest) -> Path:
    """Folder of a world with 12 crops, 6 of them to train on, kept between test runs."""
    return render_kept(UNSEEN, request.config)
