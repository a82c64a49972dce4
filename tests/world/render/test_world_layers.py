"""Who is before whom, where figures are drawn over one another."""

from __future__ import annotations

import numpy as np

from unveil.world.render.inputs import Buffers, Layers
from unveil.world.render.shading import occlude

WALL = 5.0  # metres


def drawn_over(layers: Layers, number: int, *, depth: float, label: int, top: int, left: int) -> Buffers:
    """Draw a figure of 2 x 2 supersamples, of which the last one is empty, over what is there."""
    triangle = np.array([[0, 0], [0, -1]], np.int32)
    buffers = Buffers(np.full((2, 2), depth, np.float32), triangle, np.zeros((2, 2, 2), np.float32))
    occlude(buffers, np.array([label], np.int32), layers._replace(top=top, left=left), number)
    return buffers


def empty() -> Layers:
    depth = np.full((3, 4), WALL, np.float32)
    depth[0, 0] = 1.0  # a thing
    return Layers(
        light=np.zeros((3, 4, 3), np.float32), depth=depth, labels=np.zeros((3, 4), np.int32),
        owner=np.full((3, 4), -1, np.int32), whole=np.zeros((3, 4), np.int32),
        scene_before=np.zeros((3, 4), np.bool_), top=0, left=0,
    )  # fmt: skip


def test_what_a_thing_occludes_of_the_first_person_is_remembered_and_not_drawn() -> None:
    layers = empty()
    first = drawn_over(layers, 0, depth=3.0, label=7, top=0, left=0)
    assert first.triangle.tolist() == [[-1, 0], [0, -1]]
    assert layers.owner[:2, :2].tolist() == [[-1, 0], [0, -1]]
    assert layers.whole[:2, :2].tolist() == [[7, 7], [7, 0]]
    assert layers.scene_before[:2, :2].tolist() == [[True, False], [False, False]]
    assert layers.depth[:2, :2].tolist() == [[1.0, 3.0], [3.0, WALL]]
    assert (layers.owner[:, 2:] == -1).all() and (layers.depth[2] == WALL).all()


def test_the_nearest_of_two_people_is_seen_and_the_first_one_is_known_whole() -> None:
    layers = empty()
    drawn_over(layers, 0, depth=3.0, label=7, top=1, left=1)
    nearer = drawn_over(layers, 1, depth=2.0, label=9, top=1, left=2)
    farther = drawn_over(layers, 2, depth=4.0, label=9, top=1, left=1)
    assert layers.owner.tolist() == [[-1, -1, -1, -1], [-1, 0, 1, 1], [-1, 0, 1, -1]]
    assert layers.whole.tolist() == [[0, 0, 0, 0], [0, 7, 7, 0], [0, 7, 0, 0]]
    assert not layers.scene_before.any()
    assert (nearer.triangle.min(), farther.triangle.max()) == (-1, -1)
    assert nearer.triangle.tolist() == [[0, 0], [0, -1]]
