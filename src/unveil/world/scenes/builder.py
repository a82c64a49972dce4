"""Triangles of a scene, collected with their surfaces and the ground that they cover. Metres; y up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.render.fabric import RGB

PLAIN, ASPHALT, PAVING, BRICK, FACADE, GRASS, WOOD, SHOP, LEAVES, TILES, SLATS, CARPET, SNOW = range(13)


class Surface(NamedTuple):
    """How a surface of the scene looks: procedural kind, linear RGB, pattern repeats a metre, seed, gloss."""

    kind: int
    rgb: RGB
    scale: float = 1.0
    seed: int = 1
    gloss: float = 0.0


class Footprint(NamedTuple):
    """Ground that a thing covers: centre, half sizes, turn in radians."""

    x: float
    z: float
    half_x: float
    half_z: float
    turn: float = 0.0

    def distance(self, x: float, z: float) -> float:
        """Return the metres from a point of the ground to this; 0 inside."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        along = abs((x - self.x) * c - (z - self.z) * s) - self.half_x
        across = abs((x - self.x) * s + (z - self.z) * c) - self.half_z
        return math.hypot(max(0.0, along), max(0.0, across))

    def is_near(self, x: float, z: float, *, within: float) -> bool:
        """Return whether a point of the ground is at most ``within`` metres from this."""
        far = self.half_x + self.half_z + 2 * within  # farther along an axis, however this is turned
        if abs(x - self.x) > far or abs(z - self.z) > far:
            return False
        return self.distance(x, z) <= within


@dataclass
class Builder:
    """Collects the triangles of a scene.

    Args:
        rng: source of chance for the details of things.
    """

    rng: np.random.Generator
    points: list[Floats] = field(default_factory=list)
    normals: list[Floats] = field(default_factory=list)
    faces: list[Ints] = field(default_factory=list)
    surface_of: list[Ints] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    footprints: list[Footprint] = field(default_factory=list)
    count: int = 0

    def add(self, points: Floats, normals: Floats, *, faces: Ints, surface: Surface) -> None:
        """Add triangles with vertex normals."""
        self.points.append(np.asarray(points, np.float32))
        self.normals.append(np.asarray(normals, np.float32))
        self.faces.append(np.asarray(faces, np.int32) + self.count)
        self.surface_of.append(np.full(len(faces), len(self.surfaces), np.int32))
        self.surfaces.append(surface)
        self.count += len(points)

    def polygons(self, quads: Floats, surface: Surface) -> None:
        """Add flat quads ``(k, 4, 3)``, corners in order."""
        normal = np.cross(quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        base = np.arange(len(quads))[:, None] * 4
        faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
        self.add(quads.reshape(-1, 3), np.repeat(normal, 4, 0), faces=faces, surface=surface)

    def ground(
        self, surface: Surface, x: tuple[float, float], *, z: tuple[float, float], y: float = 0.0, cell: float = 1.0
    ) -> None:
        """Add a horizontal floor in cells, so that the ones behind the camera can be left out."""
        xs, zs = np.arange(x[0], x[1] + 1e-6, cell), np.arange(z[0], z[1] + 1e-6, cell)
        a, b = np.meshgrid(xs[:-1], zs[:-1])
        low = np.stack([a.ravel(), np.full(a.size, y), b.ravel()], 1)
        offsets = np.array([[0, 0, 0], [0, 0, cell], [cell, 0, cell], [cell, 0, 0]])
        self.polygons(low[:, None] + offsets, surface)

    def box(self, centre: RGB, half: RGB, *, surface: Surface, turn: float = 0.0, solid: bool = True) -> None:
        """Add a box; ``turn`` in radians around y; ``solid`` ones cannot be walked through."""
        corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(half)
        sides = np.array([[0, 1, 3, 2], [5, 4, 6, 7], [4, 0, 2, 6], [1, 5, 7, 3], [2, 3, 7, 6], [4, 5, 1, 0]])
        self.polygons(turned(corner, turn)[sides] + np.array(centre), surface)
        if solid and centre[1] - half[1] < 1.6:
            self.footprints.append(Footprint(centre[0], centre[2], half[0], half[2], turn))

    def wall(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        height: float,
        surface: Surface,
        thick: float = 0.1,
    ) -> None:
        """Add a wall between two points of the ground, in panels."""
        (x0, z0), (x1, z1) = start, end
        length = math.hypot(x1 - x0, z1 - z0)
        turn = math.atan2(-(z1 - z0), x1 - x0)
        panels = max(1, math.ceil(length / 2))
        for k in range(panels):
            t = (k + 0.5) / panels
            self.box(
                (x0 + t * (x1 - x0), height / 2, z0 + t * (z1 - z0)),
                (length / panels / 2, height / 2, thick),
                surface=surface,
                turn=turn,
                solid=False,
            )
        self.footprints.append(Footprint((x0 + x1) / 2, (z0 + z1) / 2, length / 2, thick, turn))

    def cylinder(
        self,
        base: RGB,
        radius: float,
        *,
        height: float,
        surface: Surface,
        sides: int = 14,
        top: float = 1.0,
        solid: bool = True,
    ) -> None:
        """Add an upright cylinder or cone; ``top`` is the radius above as a share of that below."""
        turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        ring = np.stack([np.cos(turn), np.zeros(sides), np.sin(turn)], 1)
        points = np.concatenate([ring * radius, ring * radius * top + [0, height, 0], [[0, height, 0]]]) + np.array(
            base
        )
        i, j = np.arange(sides)[:, None], (np.arange(sides)[:, None] + 1) % sides
        faces = np.concatenate(
            [
                np.hstack([i, i + sides, j]),
                np.hstack([j, i + sides, j + sides]),
                np.hstack([i + sides, 0 * i + 2 * sides, j + sides]),
            ]
        )
        self.add(points, np.concatenate([ring, ring, [[0, 1, 0]]]), faces=faces, surface=surface)
        if solid:
            self.footprints.append(Footprint(base[0], base[2], radius, radius))

    def extrude(
        self, outline: Floats, half_width: float, *, place: tuple[float, float], turn: float, surface: Surface
    ) -> None:
        """Add a solid whose side view is ``outline (k, 2)`` (along, up) in order, extruded across."""
        k = len(outline)
        along, up = outline[:, 0], outline[:, 1]
        left = np.stack([np.full(k, -half_width), up, along], 1)
        right = left * np.array([-1, 1, 1])
        nxt = np.roll(np.arange(k), -1)
        quads = np.stack([left, right, right[nxt], left[nxt]], 1)
        self.polygons(turned(quads, turn) + np.array([place[0], 0, place[1]]), surface)
        middle = outline.mean(0)
        for side, sign in ((left, -1.0), (right, 1.0)):
            points = np.concatenate([side, [[sign * half_width, middle[1], middle[0]]]])
            faces = np.stack([np.arange(k), nxt, np.full(k, k)], 1)
            normal = turned(np.tile(np.array([[sign, 0.0, 0]]), (k + 1, 1)), turn)
            self.add(turned(points, turn) + np.array([place[0], 0, place[1]]), normal, faces=faces, surface=surface)

    def leaves(self, centre: RGB, radii: RGB, *, count: int, surface: Surface, size: float = 0.09) -> None:
        """Add a clump of leaves: small quads over an ellipsoid, lit as a soft volume."""
        direction = self.rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        lumps = 1 + 0.22 * np.sin(direction @ self.rng.normal(0, 4, (3, 3))).sum(1, keepdims=True) / 1.7
        at = np.array(centre) + direction * np.array(radii) * self.rng.uniform(0.55, 1.0, (count, 1)) * lumps
        first = np.cross(direction, self.rng.normal(size=(count, 3)))
        first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
        second = np.cross(direction, first) + 0.5 * direction
        span = size * self.rng.uniform(0.6, 1.4, (count, 1))
        quads = np.stack([at - first * span, at - second * span * 0.7, at + first * span, at + second * span * 0.7], 1)
        base = np.arange(count)[:, None] * 4
        faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([0, 2, 3])])
        normals = direction + 0.5 * self.rng.normal(size=(count, 3)) * 0.6
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        self.add(quads.reshape(-1, 3), np.repeat(normals, 4, 0), faces=faces, surface=surface)


def turned(points: Floats, turn: float) -> Floats:
    """Return points turned by radians around the y axis."""
    c, s = math.cos(turn), math.sin(turn)
    return np.asarray(points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]), np.float32)
