"""Solids and tubes that move with one bone."""

from __future__ import annotations

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.people.mesh import Material, Piece

ROWS, COLUMNS = 12, 20


def solid(
    centre: Floats,
    size: tuple[float, float, float],
    *,
    bone: int,
    label: int,
    material: Material,
    roundness: float = 1.0,
) -> Piece:
    """Return a superellipsoid that moves with one bone.

    Args:
        centre: metres.
        size: half its width, height and depth.
        bone: number.
        label: world label.
        material: its surface.
        roundness: 1 an ellipsoid, towards 0 a box.
    """
    tilt, turn = np.meshgrid(
        np.linspace(-np.pi / 2, np.pi / 2, ROWS), np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False), indexing="ij"
    )

    def power(x: Floats) -> Floats:
        return np.asarray(np.sign(x) * np.abs(x) ** roundness, np.float32)

    x, y, z = power(np.cos(tilt)) * power(np.sin(turn)), power(np.sin(tilt)), power(np.cos(tilt)) * power(np.cos(turn))
    unit = np.stack([x, y, z], -1).reshape(-1, 3)
    i = (np.arange(ROWS - 1)[:, None] * COLUMNS + np.arange(COLUMNS)).reshape(-1, 1)
    j = (np.arange(ROWS - 1)[:, None] * COLUMNS + (np.arange(COLUMNS) + 1) % COLUMNS).reshape(-1, 1)
    faces = np.concatenate([np.hstack([i, j, i + COLUMNS]), np.hstack([j, j + COLUMNS, i + COLUMNS])])
    points = unit * np.array(size) + centre
    uv = np.stack([unit[:, 0], unit[:, 2], (1 - unit[:, 1]) * size[1]], 1)
    return rigid(points, faces, bone=bone, label=label, material=material, uv=uv)


def rigid(
    points: Floats, faces: np.ndarray, *, bone: int, label: int, material: Material, uv: Floats | None = None
) -> Piece:
    """Return a piece that moves with one bone."""
    bones = np.zeros((len(points), 4), np.int32)
    bones[:, 0] = bone
    weights = np.zeros((len(points), 4), np.float32)
    weights[:, 0] = 1
    return Piece(
        points.astype(np.float32),
        bones,
        weights,
        faces.astype(np.int32),
        np.full(len(faces), label, np.int32),
        material,
        uv=None if uv is None else uv.astype(np.float32),
    )


def tube(path: Floats, radius: float, *, bone: int, label: int, material: Material) -> Piece:
    """Return a tube along a path ``(k, 3)``."""
    sides = 6
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    other = np.where(np.abs(along[:, 1:2]) > 0.8, np.array([0, 0, 1.0]), np.array([0, 1.0, 0]))
    first = np.cross(along, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = path[:, None] + radius * (np.cos(turn)[:, None] * first[:, None] + np.sin(turn)[:, None] * second[:, None])
    i = (np.arange(len(path) - 1)[:, None] * sides + np.arange(sides)).reshape(-1, 1)
    j = (np.arange(len(path) - 1)[:, None] * sides + (np.arange(sides) + 1) % sides).reshape(-1, 1)
    faces = np.concatenate([np.hstack([i, j, i + sides]), np.hstack([j, j + sides, i + sides])])
    return rigid(
        ring.reshape(-1, 3), faces, bone=bone, label=label, material=material, uv=np.zeros((len(path) * sides, 3))
    )
