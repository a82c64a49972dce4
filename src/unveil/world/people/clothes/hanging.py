"""Cloth that hangs around the legs gives way to them: skirts, and the lower parts of dresses and long coats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.people.anatomy import SIDES
from unveil.world.people.body import load_pack
from unveil.world.render.kernels import vertex_normals

FARTHEST = 0.3  # metres that cloth gives way
ROUNDS = 10  # how far cloth that gives way takes its neighbours along
TAKEN = 0.97  # share of its neighbours' movement that cloth takes over in a round
JOINTS = ("upperleg01", "lowerleg01", "foot")
STATIONS = ((0.25, 1.0), (0.35, 1.0))  # of thigh and shin, where the leg's girth is measured


@dataclass(frozen=True, eq=False)
class Hanging:
    """A piece of a figure that hangs around the legs.

    Args:
        rows: its vertices in the figure ``(n,)``.
        faces: its triangles, in its own vertices ``(t, 3)``.
        edges: pairs of its vertices that a triangle joins, both ways ``(m, 2)``.
        girth: metres from a leg's bones to the cloth, above hip, at the station of the thigh, at the knee, at that of
            the shin and at the ankle ``(2, 5)``.
    """

    rows: Ints
    faces: Ints
    edges: Ints
    girth: Floats


def hanging(rows: Ints, faces: Ints, *, girth: Floats) -> Hanging:
    """Return a piece that hangs, of its vertices in a figure and its triangles in its own."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return Hanging(rows, faces, np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0), girth)


def give_way(points: Floats, normals: Floats, *, cloth: Hanging, motion: Floats, heads: Floats) -> None:
    """Move the vertices of a piece in a posed figure out of the legs, and turn their normals, in place.

    Args:
        points: of the figure ``(n, 3)``, metres.
        normals: of the figure ``(n, 3)``.
        cloth: the piece.
        motion: of each bone ``(J, 3, 4)``.
        heads: rest positions of the bone heads ``(J, 3)``.
    """
    start = points[cloth.rows].astype(np.float64)
    out = normals[cloth.rows].astype(np.float64)
    out[:, 1] = 0
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    moved = np.zeros(len(start))
    for side, (name, _) in enumerate(SIDES):
        joints = []
        for joint in JOINTS:
            b = load_pack().bone(f"{joint}.{name}")
            joints.append(motion[b, :, :3] @ heads[b] + motion[b, :, 3])
        girth = cloth.girth[side]
        for k, (station, _) in enumerate(STATIONS):
            low, high = joints[k].astype(np.float64), joints[k + 1].astype(np.float64)
            along = high - low
            for _ in range(2):  # the nearest place of the leg changes with the cloth's
                t = np.clip((start + moved[:, None] * out - low) @ along / (along @ along), 0, 1)
                radius = np.interp(t, (0, station, 1), girth[2 * k : 2 * k + 3])
                axis = low + t[:, None] * along - start
                ahead = (axis * out).sum(1)
                room = radius**2 - ((axis**2).sum(1) - ahead**2)
                reach = np.where(room > 0, ahead + np.sqrt(np.maximum(room, 0)), 0)
                moved = np.maximum(moved, np.minimum(reach, FARTHEST))
    if not moved.any():
        return
    i, j = cloth.edges.T
    degree = np.maximum(np.bincount(i, minlength=len(moved)), 1)
    for _ in range(ROUNDS):
        moved = np.maximum(moved, TAKEN * np.bincount(i, moved[j], len(moved)) / degree)
    points[cloth.rows] = start + moved[:, None] * out
    turned = np.zeros((len(cloth.rows), 3), np.float32)
    vertex_normals(np.ascontiguousarray(points[cloth.rows]), cloth.faces, turned)
    normals[cloth.rows] = turned
