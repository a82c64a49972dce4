"""Ground that things cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unveil.world.scenes.builder import Footprint


def test_near_is_what_the_distance_says_however_the_thing_is_turned() -> None:
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(4000):
        x, z = rng.uniform(-2, 2, 2)
        thing = Footprint(*rng.uniform(-0.5, 0.5, 2), *rng.uniform(0.02, 0.9, 2), rng.uniform(-4, 4))
        within = rng.uniform(0, 0.9)
        answers.append(thing.is_near(x, z, within=within))
        assert answers[-1] == (thing.distance(x, z) <= within)
    assert 0.2 < np.mean(answers) < 0.8


@pytest.mark.parametrize("turn", [0.0, math.pi / 4, math.pi / 2])
def test_a_point_at_a_corner_of_what_is_turned_is_near(turn: float) -> None:
    thing, reach = Footprint(0, 0, 1, 1, turn), 1.3 * math.sqrt(2) - 1e-6
    corner = reach * math.cos(turn + math.pi / 4), reach * math.sin(turn + math.pi / 4)
    assert thing.is_near(*corner, within=0.43)
    assert not thing.is_near(*corner, within=0.42)
