"""Things that stand in a scene, as triangles: walls, poles, cars, trees, furniture, carts. Metres; y up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from unveil.world.body import Floats, Ints
from unveil.world.fabric import RGB

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

    def add(self, points: Floats, normals: Floats, faces: Ints, surface: Surface) -> None:
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
        self.add(quads.reshape(-1, 3), np.repeat(normal, 4, 0), faces, surface)

    def ground(
        self, surface: Surface, x: tuple[float, float], z: tuple[float, float], y: float = 0.0, cell: float = 1.0
    ) -> None:
        """Add a horizontal floor in cells, so that the ones behind the camera can be left out."""
        xs, zs = np.arange(x[0], x[1] + 1e-6, cell), np.arange(z[0], z[1] + 1e-6, cell)
        a, b = np.meshgrid(xs[:-1], zs[:-1])
        low = np.stack([a.ravel(), np.full(a.size, y), b.ravel()], 1)
        offsets = np.array([[0, 0, 0], [0, 0, cell], [cell, 0, cell], [cell, 0, 0]])
        self.polygons(low[:, None] + offsets, surface)

    def box(self, centre: RGB, half: RGB, surface: Surface, turn: float = 0.0, solid: bool = True) -> None:
        """Add a box; ``turn`` in radians around y; ``solid`` ones cannot be walked through."""
        corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(half)
        sides = np.array([[0, 1, 3, 2], [5, 4, 6, 7], [4, 0, 2, 6], [1, 5, 7, 3], [2, 3, 7, 6], [4, 5, 1, 0]])
        self.polygons(_turned(corner, turn)[sides] + np.array(centre), surface)
        if solid and centre[1] - half[1] < 1.6:
            self.footprints.append(Footprint(centre[0], centre[2], half[0], half[2], turn))

    def wall(
        self, start: tuple[float, float], end: tuple[float, float], height: float, surface: Surface, thick: float = 0.1
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
                surface,
                turn,
                solid=False,
            )
        self.footprints.append(Footprint((x0 + x1) / 2, (z0 + z1) / 2, length / 2, thick, turn))

    def cylinder(
        self,
        base: RGB,
        radius: float,
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
        self.add(points, np.concatenate([ring, ring, [[0, 1, 0]]]), faces, surface)
        if solid:
            self.footprints.append(Footprint(base[0], base[2], radius, radius))

    def extrude(
        self, outline: Floats, half_width: float, place: tuple[float, float], turn: float, surface: Surface
    ) -> None:
        """Add a solid whose side view is ``outline (k, 2)`` (along, up) in order, extruded across."""
        k = len(outline)
        along, up = outline[:, 0], outline[:, 1]
        left = np.stack([np.full(k, -half_width), up, along], 1)
        right = left * np.array([-1, 1, 1])
        nxt = np.roll(np.arange(k), -1)
        quads = np.stack([left, right, right[nxt], left[nxt]], 1)
        self.polygons(_turned(quads, turn) + np.array([place[0], 0, place[1]]), surface)
        middle = outline.mean(0)
        for side, sign in ((left, -1.0), (right, 1.0)):
            points = np.concatenate([side, [[sign * half_width, middle[1], middle[0]]]])
            faces = np.stack([np.arange(k), nxt, np.full(k, k)], 1)
            normal = _turned(np.tile(np.array([[sign, 0.0, 0]]), (k + 1, 1)), turn)
            self.add(_turned(points, turn) + np.array([place[0], 0, place[1]]), normal, faces, surface)

    def leaves(self, centre: RGB, radii: RGB, count: int, surface: Surface, size: float = 0.09) -> None:
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
        self.add(quads.reshape(-1, 3), np.repeat(normals, 4, 0), faces, surface)


def _turned(points: Floats, turn: float) -> Floats:
    c, s = math.cos(turn), math.sin(turn)
    return np.asarray(points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]), np.float32)


def paint(rng: np.random.Generator) -> RGB:
    """Return a linear colour of lacquer: mostly grey, black, white, silver."""
    if rng.random() < 0.6:
        g = float(rng.choice((0.02, 0.05, 0.2, 0.45, 0.7)))
        return g, g, g
    r, g, b = rng.uniform(0.02, 0.5, 3) ** 1.3
    return float(r), float(g), float(b)


def car(b: Builder, x: float, z: float, turn: float) -> None:
    """Add a parked car, van or estate."""
    rng, body = b.rng, Surface(PLAIN, paint(b.rng), gloss=0.5)
    kind = rng.integers(3)
    s = rng.uniform(0.94, 1.06)
    low = [(-2.1, 0.28), (-2.15, 0.62), (-2.0, 0.86)]
    roof = {
        0: [(-1.35, 0.95), (-0.75, 1.40), (0.55, 1.43), (1.20, 0.98)],
        1: [(-1.95, 1.35), (-1.7, 1.47), (0.55, 1.48), (1.25, 1.0)],
        2: [(-2.05, 1.75), (-1.9, 1.92), (0.9, 1.9), (1.55, 1.15)],
    }[int(kind)]
    nose = [(1.95, 0.86), (2.12, 0.66), (2.12, 0.30)]
    outline = np.array(low + roof + nose) * s
    b.extrude(outline, 0.86 * s, (x, z), turn, body)
    glass = Surface(PLAIN, (0.02, 0.025, 0.03), gloss=0.6)
    shrunk = np.array([roof[0], roof[1], roof[2], roof[3]]) * s
    centre = shrunk.mean(0)
    b.extrude(centre + (shrunk - centre) * np.array([0.86, 0.68]), 0.875 * s, (x, z), turn, glass)
    c, sn = math.cos(turn), math.sin(turn)

    def place(dx: float, dz: float) -> tuple[float, float]:
        return x + dx * c + dz * sn, z - dx * sn + dz * c

    tyre, hub = Surface(PLAIN, (0.012, 0.012, 0.012)), Surface(PLAIN, (0.3, 0.3, 0.3), gloss=0.4)
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for dz in (-1.32 * s, 1.30 * s):
        for radius, wide, surface in ((0.33, 0.89, tyre), (0.20, 0.90, hub)):
            circle = np.stack([dz + radius * np.cos(angle), 0.33 + radius * np.sin(angle)], 1)
            b.extrude(circle, wide * s, (x, z), turn, surface)
    for dx in (-0.62 * s, 0.62 * s):
        px, pz = place(dx, 2.11 * s)
        b.box((px, 0.66, pz), (0.16, 0.07, 0.03), Surface(PLAIN, (0.8, 0.78, 0.7), gloss=0.6), turn, solid=False)
        px, pz = place(dx, -2.13 * s)
        b.box((px, 0.72, pz), (0.14, 0.09, 0.03), Surface(PLAIN, (0.4, 0.02, 0.02), gloss=0.5), turn, solid=False)
    b.footprints.append(Footprint(x, z, 0.9 * s, 2.15 * s, turn))


def tree(b: Builder, x: float, z: float) -> None:
    """Add a tree."""
    rng = b.rng
    height = rng.uniform(2.0, 3.0)
    b.cylinder((x, 0, z), rng.uniform(0.09, 0.2), height + 0.8, Surface(WOOD, (0.14, 0.10, 0.07), 2, 3), 10, 0.7)
    green = tuple(np.array([0.07, 0.14, 0.035]) * rng.uniform(0.7, 1.6, 3))
    for _ in range(int(rng.integers(3, 6))):
        dx, dy, dz = rng.normal(0, (0.7, 0.4, 0.7))
        r = rng.uniform(0.7, 1.3)
        b.leaves((x + dx, height + 1.1 + dy, z + dz), (r, r * 0.8, r), 420, Surface(LEAVES, green, 1, 5), 0.13)


def bush(b: Builder, x: float, z: float, boxed: bool) -> None:
    """Add a bush, or a planter with one."""
    rng = b.rng
    base = 0.0
    if boxed:
        base = 0.5
        b.box((x, base / 2, z), (0.6, base / 2, 0.5), Surface(ASPHALT, (0.3, 0.28, 0.25), 1, 5))
    else:
        b.footprints.append(Footprint(x, z, 0.55, 0.5))
    green = tuple(np.array([0.06, 0.13, 0.03]) * rng.uniform(0.7, 1.7, 3))
    r = rng.uniform(0.45, 0.7)
    for dx in (-0.35, 0.3):
        b.leaves(
            (x + dx, base + r * 0.8, z + rng.normal(0, 0.1)),
            (r * 0.9, r, r * 0.8),
            380,
            Surface(LEAVES, green, 1, 7),
            0.075,
        )


def hedge(b: Builder, x: float, z: float, length: float, turn: float) -> None:
    """Add a clipped hedge."""
    green = tuple(np.array([0.05, 0.11, 0.03]) * b.rng.uniform(0.8, 1.5))
    height = b.rng.uniform(0.6, 1.1)
    for k in np.arange(-length / 2, length / 2, 0.5):
        px, pz = x + k * math.cos(turn), z - k * math.sin(turn)
        b.leaves((px, height * 0.5, pz), (0.42, height * 0.6, 0.35), 300, Surface(LEAVES, green, 1, 9), 0.06)
    b.footprints.append(Footprint(x, z, length / 2, 0.35, turn))


def bench(b: Builder, x: float, z: float, turn: float) -> None:
    """Add a bench with a back."""
    wood = Surface(WOOD, (0.25, 0.14, 0.07), 1, 4)
    c, s = math.cos(turn), math.sin(turn)
    for k in range(3):
        b.box(
            (x + s * (k * 0.13 - 0.13), 0.44, z + c * (k * 0.13 - 0.13)), (0.85, 0.02, 0.055), wood, turn, solid=False
        )
        b.box((x - s * 0.24, 0.6 + k * 0.12, z - c * 0.24), (0.85, 0.045, 0.02), wood, turn, solid=False)
    for side in (-0.7, 0.7):
        b.box(
            (x + c * side, 0.22, z - s * side), (0.03, 0.22, 0.2), Surface(PLAIN, (0.03, 0.03, 0.03)), turn, solid=False
        )
    b.footprints.append(Footprint(x, z, 0.9, 0.3, turn))


def fence(b: Builder, x: float, z: float, length: float, turn: float, height: float = 1.0) -> None:
    """Add railings."""
    metal = Surface(PLAIN, paint(b.rng), gloss=0.2)
    c, s = math.cos(turn), math.sin(turn)
    for level in (0.12, height):
        b.box((x, level, z), (length / 2, 0.025, 0.02), metal, turn, solid=False)
    for k in np.arange(-length / 2, length / 2 + 0.01, 0.14):
        b.box((x + k * c, height / 2, z - k * s), (0.012, height / 2, 0.012), metal, turn, solid=False)
    b.footprints.append(Footprint(x, z, length / 2, 0.06, turn))


def bin_(b: Builder, x: float, z: float) -> None:
    """Add a litter bin."""
    surface = Surface(SLATS if b.rng.random() < 0.4 else PLAIN, paint(b.rng), 6, 2, 0.1)
    b.cylinder((x, 0, z), b.rng.uniform(0.22, 0.32), b.rng.uniform(0.75, 1.05), surface, 16)


def pole(b: Builder, x: float, z: float, sign: bool) -> None:
    """Add a lamp post, or a post with a traffic sign."""
    b.cylinder((x, 0, z), b.rng.uniform(0.04, 0.09), 4.5, Surface(PLAIN, (0.2, 0.2, 0.2), gloss=0.2), 10)
    if sign:
        turn = b.rng.normal(0, 0.5)
        b.box(
            (x, 2.3, z - 0.06),
            (0.3, 0.3, 0.01),
            Surface(PLAIN, (0.5, 0.05, 0.05) if b.rng.random() < 0.5 else (0.05, 0.1, 0.5), gloss=0.2),
            turn,
            solid=False,
        )


def pillar(b: Builder, x: float, z: float, height: float, surface: Surface) -> None:
    """Add a round or square column."""
    half = b.rng.uniform(0.15, 0.3)
    if b.rng.random() < 0.5:
        b.cylinder((x, 0, z), half, height, surface, 18)
    else:
        b.box((x, height / 2, z), (half, height / 2, half), surface, b.rng.normal(0, 0.05))


def cart(b: Builder, x: float, z: float, turn: float) -> None:
    """Add a shopping or luggage trolley."""
    metal = Surface(PLAIN, (0.35, 0.35, 0.37), gloss=0.4)
    c, s = math.cos(turn), math.sin(turn)
    for k in np.arange(-0.45, 0.46, 0.09):
        for side in (-0.28, 0.28):
            b.box((x + side * c + k * s, 0.72, z - side * s + k * c), (0.008, 0.24, 0.008), metal, turn, solid=False)
    for level in (0.5, 0.62, 0.74, 0.86, 0.96):
        for side in (-0.28, 0.28):
            b.box((x + side * c, level, z - side * s), (0.008, 0.008, 0.46), metal, turn, solid=False)
        for k in (-0.46, 0.46):
            b.box((x + k * s, level, z + k * c), (0.28, 0.008, 0.008), metal, turn, solid=False)
    b.box((x, 0.48, z), (0.28, 0.01, 0.46), metal, turn, solid=False)
    b.box((x - 0.55 * s, 1.02, z - 0.55 * c), (0.3, 0.02, 0.02), Surface(PLAIN, paint(b.rng)), turn, solid=False)
    load = b.rng.uniform(0.1, 0.3)
    b.box((x, 0.5 + load / 2, z), (0.22, load / 2, 0.36), Surface(WOOD, (0.4, 0.28, 0.16), 1, 6), turn, solid=False)
    for side in (-0.22, 0.22):
        for k in (-0.4, 0.4):
            b.box((x + side * c + k * s, 0.24, z - side * s + k * c), (0.015, 0.24, 0.015), metal, turn, solid=False)
    b.footprints.append(Footprint(x, z, 0.32, 0.55, turn))


def crates(b: Builder, x: float, z: float) -> None:
    """Add stacked boxes."""
    level, turn = 0.0, b.rng.uniform(0, 3)
    for _ in range(int(b.rng.integers(1, 4))):
        h = b.rng.uniform(0.15, 0.3)
        tint = tuple(np.array([0.36, 0.25, 0.14]) * b.rng.uniform(0.7, 1.3))
        b.box(
            (x, level + h, z),
            (b.rng.uniform(0.25, 0.45), h, b.rng.uniform(0.2, 0.4)),
            Surface(PLAIN if b.rng.random() < 0.5 else WOOD, tint, 1, 3),
            turn,
        )
        level += 2 * h
        turn += b.rng.normal(0, 0.2)


def table_and_chairs(b: Builder, x: float, z: float) -> None:
    """Add a table with two chairs."""
    wood, leg = Surface(WOOD, (0.3, 0.2, 0.1), 1, 8), Surface(PLAIN, (0.04, 0.04, 0.04))
    b.box((x, 0.73, z), (0.45, 0.02, 0.4), wood, 0.1, solid=False)
    b.cylinder((x, 0, z), 0.04, 0.72, leg, 8, solid=False)
    for sign in (-1.0, 1.0):
        cx = x + sign * 0.75
        b.box((cx, 0.45, z), (0.2, 0.02, 0.2), wood, 0, solid=False)
        b.box((cx + sign * 0.2, 0.68, z), (0.02, 0.22, 0.2), wood, 0, solid=False)
        for dx in (-0.18, 0.18):
            for dz in (-0.18, 0.18):
                b.box((cx + dx, 0.22, z + dz), (0.015, 0.22, 0.015), leg, 0, solid=False)
    b.footprints.append(Footprint(x, z, 1.0, 0.45))


def shelf(b: Builder, x: float, z: float, turn: float) -> None:
    """Add a shelf with goods."""
    frame = Surface(PLAIN, (0.5, 0.5, 0.48))
    c, s = math.cos(turn), math.sin(turn)
    height = b.rng.uniform(1.1, 1.7)
    b.box((x, height / 2, z), (1.0, height / 2, 0.03), frame, turn, solid=False)
    for level in np.arange(0.15, height, 0.38):
        b.box((x, level, z), (1.0, 0.015, 0.28), frame, turn, solid=False)
        for k in np.arange(-0.9, 0.95, 0.22):
            h = b.rng.uniform(0.07, 0.15)
            tint = tuple(b.rng.uniform(0.03, 0.6, 3))
            for side in (-0.15, 0.15):
                b.box(
                    (x + k * c + side * s, level + h, z - k * s + side * c),
                    (0.09, h, 0.09),
                    Surface(PLAIN, tint),
                    turn,
                    solid=False,
                )
    b.footprints.append(Footprint(x, z, 1.05, 0.32, turn))
