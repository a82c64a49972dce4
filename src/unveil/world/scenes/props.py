"""Things that stand in a scene: cars, trees, hedges, furniture, poles, carts. Metres; y up."""

from __future__ import annotations

import math

import numpy as np

from unveil.world.render.fabric import RGB
from unveil.world.scenes.builder import ASPHALT, LEAVES, PLAIN, SLATS, WOOD, Builder, Footprint, Surface


def paint(rng: np.random.Generator) -> RGB:
    """Return a linear colour of lacquer: mostly grey, black, white, silver."""
    if rng.random() < 0.6:
        g = float(rng.choice((0.02, 0.05, 0.2, 0.45, 0.7)))
        return g, g, g
    r, g, b = rng.uniform(0.02, 0.5, 3) ** 1.3
    return float(r), float(g), float(b)


def car(b: Builder, x: float, *, z: float, turn: float) -> None:
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
    b.extrude(outline, 0.86 * s, place=(x, z), turn=turn, surface=body)
    glass = Surface(PLAIN, (0.02, 0.025, 0.03), gloss=0.6)
    shrunk = np.array([roof[0], roof[1], roof[2], roof[3]]) * s
    centre = shrunk.mean(0)
    b.extrude(centre + (shrunk - centre) * np.array([0.86, 0.68]), 0.875 * s, place=(x, z), turn=turn, surface=glass)
    c, sn = math.cos(turn), math.sin(turn)

    def place(dx: float, dz: float) -> tuple[float, float]:
        return x + dx * c + dz * sn, z - dx * sn + dz * c

    tyre, hub = Surface(PLAIN, (0.012, 0.012, 0.012)), Surface(PLAIN, (0.3, 0.3, 0.3), gloss=0.4)
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for dz in (-1.32 * s, 1.30 * s):
        for radius, wide, surface in ((0.33, 0.89, tyre), (0.20, 0.90, hub)):
            circle = np.stack([dz + radius * np.cos(angle), 0.33 + radius * np.sin(angle)], 1)
            b.extrude(circle, wide * s, place=(x, z), turn=turn, surface=surface)
    for dx in (-0.62 * s, 0.62 * s):
        px, pz = place(dx, 2.11 * s)
        b.box(
            (px, 0.66, pz),
            (0.16, 0.07, 0.03),
            surface=Surface(PLAIN, (0.8, 0.78, 0.7), gloss=0.6),
            turn=turn,
            solid=False,
        )
        px, pz = place(dx, -2.13 * s)
        b.box(
            (px, 0.72, pz),
            (0.14, 0.09, 0.03),
            surface=Surface(PLAIN, (0.4, 0.02, 0.02), gloss=0.5),
            turn=turn,
            solid=False,
        )
    b.footprints.append(Footprint(x, z, 0.9 * s, 2.15 * s, turn))


def tree(b: Builder, x: float, *, z: float) -> None:
    """Add a tree."""
    rng = b.rng
    height = rng.uniform(2.0, 3.0)
    b.cylinder(
        (x, 0, z),
        rng.uniform(0.09, 0.2),
        height=height + 0.8,
        surface=Surface(WOOD, (0.14, 0.10, 0.07), 2, 3),
        sides=10,
        top=0.7,
    )
    green = tuple(np.array([0.07, 0.14, 0.035]) * rng.uniform(0.7, 1.6, 3))
    for _ in range(int(rng.integers(3, 6))):
        dx, dy, dz = rng.normal(0, (0.7, 0.4, 0.7))
        r = rng.uniform(0.7, 1.3)
        b.leaves(
            (x + dx, height + 1.1 + dy, z + dz),
            (r, r * 0.8, r),
            count=420,
            surface=Surface(LEAVES, green, 1, 5),
            size=0.13,
        )


def bush(b: Builder, x: float, *, z: float, boxed: bool) -> None:
    """Add a bush, or a planter with one."""
    rng = b.rng
    base = 0.0
    if boxed:
        base = 0.5
        b.box((x, base / 2, z), (0.6, base / 2, 0.5), surface=Surface(ASPHALT, (0.3, 0.28, 0.25), 1, 5))
    else:
        b.footprints.append(Footprint(x, z, 0.55, 0.5))
    green = tuple(np.array([0.06, 0.13, 0.03]) * rng.uniform(0.7, 1.7, 3))
    r = rng.uniform(0.45, 0.7)
    for dx in (-0.35, 0.3):
        b.leaves(
            (x + dx, base + r * 0.8, z + rng.normal(0, 0.1)),
            (r * 0.9, r, r * 0.8),
            count=380,
            surface=Surface(LEAVES, green, 1, 7),
            size=0.075,
        )


def hedge(b: Builder, x: float, *, z: float, length: float, turn: float) -> None:
    """Add a clipped hedge."""
    green = tuple(np.array([0.05, 0.11, 0.03]) * b.rng.uniform(0.8, 1.5))
    height = b.rng.uniform(0.6, 1.1)
    for k in np.arange(-length / 2, length / 2, 0.5):
        px, pz = x + k * math.cos(turn), z - k * math.sin(turn)
        b.leaves(
            (px, height * 0.5, pz),
            (0.42, height * 0.6, 0.35),
            count=300,
            surface=Surface(LEAVES, green, 1, 9),
            size=0.06,
        )
    b.footprints.append(Footprint(x, z, length / 2, 0.35, turn))


def bench(b: Builder, x: float, *, z: float, turn: float) -> None:
    """Add a bench with a back."""
    wood = Surface(WOOD, (0.25, 0.14, 0.07), 1, 4)
    c, s = math.cos(turn), math.sin(turn)
    for k in range(3):
        b.box(
            (x + s * (k * 0.13 - 0.13), 0.44, z + c * (k * 0.13 - 0.13)),
            (0.85, 0.02, 0.055),
            surface=wood,
            turn=turn,
            solid=False,
        )
        b.box((x - s * 0.24, 0.6 + k * 0.12, z - c * 0.24), (0.85, 0.045, 0.02), surface=wood, turn=turn, solid=False)
    for side in (-0.7, 0.7):
        b.box(
            (x + c * side, 0.22, z - s * side),
            (0.03, 0.22, 0.2),
            surface=Surface(PLAIN, (0.03, 0.03, 0.03)),
            turn=turn,
            solid=False,
        )
    b.footprints.append(Footprint(x, z, 0.9, 0.3, turn))


def fence(b: Builder, x: float, *, z: float, length: float, turn: float, height: float = 1.0) -> None:
    """Add railings."""
    metal = Surface(PLAIN, paint(b.rng), gloss=0.2)
    c, s = math.cos(turn), math.sin(turn)
    for level in (0.12, height):
        b.box((x, level, z), (length / 2, 0.025, 0.02), surface=metal, turn=turn, solid=False)
    for k in np.arange(-length / 2, length / 2 + 0.01, 0.14):
        b.box((x + k * c, height / 2, z - k * s), (0.012, height / 2, 0.012), surface=metal, turn=turn, solid=False)
    b.footprints.append(Footprint(x, z, length / 2, 0.06, turn))


def bin_(b: Builder, x: float, *, z: float) -> None:
    """Add a litter bin."""
    surface = Surface(SLATS if b.rng.random() < 0.4 else PLAIN, paint(b.rng), 6, 2, 0.1)
    b.cylinder((x, 0, z), b.rng.uniform(0.22, 0.32), height=b.rng.uniform(0.75, 1.05), surface=surface, sides=16)


def pole(b: Builder, x: float, *, z: float, sign: bool) -> None:
    """Add a lamp post, or a post with a traffic sign."""
    b.cylinder(
        (x, 0, z), b.rng.uniform(0.04, 0.09), height=4.5, surface=Surface(PLAIN, (0.2, 0.2, 0.2), gloss=0.2), sides=10
    )
    if sign:
        turn = b.rng.normal(0, 0.5)
        b.box(
            (x, 2.3, z - 0.06),
            (0.3, 0.3, 0.01),
            surface=Surface(PLAIN, (0.5, 0.05, 0.05) if b.rng.random() < 0.5 else (0.05, 0.1, 0.5), gloss=0.2),
            turn=turn,
            solid=False,
        )


def pillar(b: Builder, x: float, *, z: float, height: float, surface: Surface) -> None:
    """Add a round or square column."""
    half = b.rng.uniform(0.15, 0.3)
    if b.rng.random() < 0.5:
        b.cylinder((x, 0, z), half, height=height, surface=surface, sides=18)
    else:
        b.box((x, height / 2, z), (half, height / 2, half), surface=surface, turn=b.rng.normal(0, 0.05))


def cart(b: Builder, x: float, *, z: float, turn: float) -> None:
    """Add a shopping or luggage trolley."""
    metal = Surface(PLAIN, (0.35, 0.35, 0.37), gloss=0.4)
    c, s = math.cos(turn), math.sin(turn)
    for k in np.arange(-0.45, 0.46, 0.09):
        for side in (-0.28, 0.28):
            b.box(
                (x + side * c + k * s, 0.72, z - side * s + k * c),
                (0.008, 0.24, 0.008),
                surface=metal,
                turn=turn,
                solid=False,
            )
    for level in (0.5, 0.62, 0.74, 0.86, 0.96):
        for side in (-0.28, 0.28):
            b.box((x + side * c, level, z - side * s), (0.008, 0.008, 0.46), surface=metal, turn=turn, solid=False)
        for k in (-0.46, 0.46):
            b.box((x + k * s, level, z + k * c), (0.28, 0.008, 0.008), surface=metal, turn=turn, solid=False)
    b.box((x, 0.48, z), (0.28, 0.01, 0.46), surface=metal, turn=turn, solid=False)
    b.box(
        (x - 0.55 * s, 1.02, z - 0.55 * c),
        (0.3, 0.02, 0.02),
        surface=Surface(PLAIN, paint(b.rng)),
        turn=turn,
        solid=False,
    )
    load = b.rng.uniform(0.1, 0.3)
    b.box(
        (x, 0.5 + load / 2, z),
        (0.22, load / 2, 0.36),
        surface=Surface(WOOD, (0.4, 0.28, 0.16), 1, 6),
        turn=turn,
        solid=False,
    )
    for side in (-0.22, 0.22):
        for k in (-0.4, 0.4):
            b.box(
                (x + side * c + k * s, 0.24, z - side * s + k * c),
                (0.015, 0.24, 0.015),
                surface=metal,
                turn=turn,
                solid=False,
            )
    b.footprints.append(Footprint(x, z, 0.32, 0.55, turn))


def crates(b: Builder, x: float, *, z: float) -> None:
    """Add stacked boxes."""
    level, turn = 0.0, b.rng.uniform(0, 3)
    for _ in range(int(b.rng.integers(1, 4))):
        h = b.rng.uniform(0.15, 0.3)
        tint = tuple(np.array([0.36, 0.25, 0.14]) * b.rng.uniform(0.7, 1.3))
        b.box(
            (x, level + h, z),
            (b.rng.uniform(0.25, 0.45), h, b.rng.uniform(0.2, 0.4)),
            surface=Surface(PLAIN if b.rng.random() < 0.5 else WOOD, tint, 1, 3),
            turn=turn,
        )
        level += 2 * h
        turn += b.rng.normal(0, 0.2)


def table_and_chairs(b: Builder, x: float, *, z: float) -> None:
    """Add a table with two chairs."""
    wood, leg = Surface(WOOD, (0.3, 0.2, 0.1), 1, 8), Surface(PLAIN, (0.04, 0.04, 0.04))
    b.box((x, 0.73, z), (0.45, 0.02, 0.4), surface=wood, turn=0.1, solid=False)
    b.cylinder((x, 0, z), 0.04, height=0.72, surface=leg, sides=8, solid=False)
    for sign in (-1.0, 1.0):
        cx = x + sign * 0.75
        b.box((cx, 0.45, z), (0.2, 0.02, 0.2), surface=wood, turn=0, solid=False)
        b.box((cx + sign * 0.2, 0.68, z), (0.02, 0.22, 0.2), surface=wood, turn=0, solid=False)
        for dx in (-0.18, 0.18):
            for dz in (-0.18, 0.18):
                b.box((cx + dx, 0.22, z + dz), (0.015, 0.22, 0.015), surface=leg, turn=0, solid=False)
    b.footprints.append(Footprint(x, z, 1.0, 0.45))


def shelf(b: Builder, x: float, *, z: float, turn: float) -> None:
    """Add a shelf with goods."""
    frame = Surface(PLAIN, (0.5, 0.5, 0.48))
    c, s = math.cos(turn), math.sin(turn)
    height = b.rng.uniform(1.1, 1.7)
    b.box((x, height / 2, z), (1.0, height / 2, 0.03), surface=frame, turn=turn, solid=False)
    for level in np.arange(0.15, height, 0.38):
        b.box((x, level, z), (1.0, 0.015, 0.28), surface=frame, turn=turn, solid=False)
        for k in np.arange(-0.9, 0.95, 0.22):
            h = b.rng.uniform(0.07, 0.15)
            tint = tuple(b.rng.uniform(0.03, 0.6, 3))
            for side in (-0.15, 0.15):
                b.box(
                    (x + k * c + side * s, level + h, z - k * s + side * c),
                    (0.09, h, 0.09),
                    surface=Surface(PLAIN, tint),
                    turn=turn,
                    solid=False,
                )
    b.footprints.append(Footprint(x, z, 1.05, 0.32, turn))
