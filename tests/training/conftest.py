from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def world(request: pytest.FixtureRequest) -> Path:
    """Folder of a rendered world of 4 people with 32 crops, queries and gallery; kept between test runs."""
    from unveil.world.config import World
    from unveil.world.generate import render_world

    plan = World(people=4, outfits=2, visits=2, frames=2, cameras=4, seed=5)
    folder = request.config.cache.mkdir(f"world-{plan.hash}") / "world"
    return render_world(plan, folder, processes=1).parent
