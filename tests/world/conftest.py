"""One small world for the tests of this room, rendered once; and one dressed person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unveil.world.capture.placed import StagedScene
from unveil.world.capture.plate import render_plate
from unveil.world.config import World
from unveil.world.generate import render_world
from unveil.world.people.clothes.outfit import Outfit, draw_outfit
from unveil.world.people.identity import Identity, draw_identity
from unveil.world.people.shaped import Shaped
from unveil.world.scenes.scene import make_scene

SMALL = World(people=4, outfits=2, visits=2, frames=2, cameras=4, seed=3)


@pytest.fixture(scope="session")
def world_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "w"
    render_world(SMALL, folder, processes=1)
    return folder


@pytest.fixture(scope="session")
def stage() -> StagedScene:
    scene = make_scene(1, 3)
    return StagedScene(scene, render_plate(scene))


@pytest.fixture(scope="session")
def identity() -> Identity:
    return draw_identity((3, 0))


@pytest.fixture(scope="session")
def body(identity: Identity) -> Shaped:
    return Shaped(identity)


@pytest.fixture(scope="session")
def outfit() -> Outfit:
    return draw_outfit(np.random.default_rng(5), 0.5)
