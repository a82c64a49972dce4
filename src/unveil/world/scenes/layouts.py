"""Ten places: the ground, the walls and the things of each, drawn by chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from unveil.world.scenes import builder, props
from unveil.world.scenes.builder import Builder, Surface

INDOOR = ("mall", "lobby", "store", "platform")


def build_layout(b: Builder, layout: str, *, light: str) -> tuple[float, float]:
    """Build a place; return the depth and half the width in metres of where people walk.

    Args:
        b: takes the triangles.
        layout: one of `LAYOUTS`.
        light: its kind; on "snow" there lies snow.
    """
    rng, indoor = b.rng, layout in INDOOR
    depth = rng.uniform(8, 12) if indoor else rng.uniform(10, 16)
    width = rng.uniform(3.2, 5.0) if indoor else rng.uniform(4.5, 7.0)
    _floor(b, layout, light=light, depth=depth, width=width)
    _BUILD[layout](b, depth, width)
    return depth, width


def _floor(b: Builder, layout: str, *, light: str, depth: float, width: float) -> None:
    rng = b.rng
    grey = float(rng.uniform(0.10, 0.26))
    choices = {
        "street": Surface(builder.ASPHALT, (grey, grey, grey), 1, 3),
        "carpark": Surface(builder.ASPHALT, (grey, grey, grey), 1, 6),
        "park": Surface(builder.GRASS, (0.09, 0.13, 0.04), 1, 5),
        "lobby": Surface(builder.TILES, (0.42, 0.40, 0.36), 1.6, 2, 0.15),
        "mall": Surface(builder.TILES, (0.50, 0.47, 0.42), 1.2, 4, 0.2),
        "store": Surface(builder.TILES, (0.42, 0.42, 0.42), 2.2, 7, 0.1),
        "platform": Surface(builder.PAVING, (0.30, 0.29, 0.28), 2, 8),
        "promenade": Surface(builder.WOOD, (0.24, 0.16, 0.10), 1.2, 9),
    }
    surface = choices.get(
        layout, Surface(builder.PAVING, (0.30, 0.27, 0.23), float(rng.uniform(1, 2.5)), int(rng.integers(20)))
    )
    if light == "snow":
        surface = Surface(builder.SNOW, (0.66, 0.68, 0.72), 1, 3)
    if layout == "lobby" and rng.random() < 0.5:
        surface = Surface(builder.CARPET, (0.10, 0.07, 0.08), 1, 4)
    b.ground(surface, (-16, 16), z=(-2, depth + 14))


def _spots(b: Builder, depth: float, *, width: float, count: int) -> list[tuple[float, float]]:
    """Return places for things, apart from each other, some of them near the camera's way."""
    found: list[tuple[float, float]] = []
    for _ in range(count * 12):
        x, z = float(b.rng.uniform(-width, width)), float(b.rng.uniform(3.0, depth - 1))
        clear = all(math.hypot(x - px, z - pz) > 1.7 for px, pz in found)
        if clear and not any(f.is_near(x, z, within=0.9) for f in b.footprints):
            found.append((x, z))
        if len(found) == count:
            break
    return found


def _clutter(b: Builder, depth: float, *, width: float, kinds: tuple[str, ...], count: int) -> None:
    rng = b.rng
    for x, z in _spots(b, depth, width=width, count=count):
        kind = str(rng.choice(kinds))
        turn = float(rng.uniform(0, math.pi))
        if kind == "pole":
            props.pole(b, x, z=z, sign=bool(rng.random() < 0.5))
        elif kind == "bin":
            props.bin_(b, x, z=z)
        elif kind == "bench":
            props.bench(b, x, z=z, turn=turn)
        elif kind == "bush":
            props.bush(b, x, z=z, boxed=False)
        elif kind == "planter":
            props.bush(b, x, z=z, boxed=True)
        elif kind == "tree":
            props.tree(b, x, z=z)
        elif kind == "cart":
            props.cart(b, x, z=z, turn=turn)
        elif kind == "crates":
            props.crates(b, x, z=z)
        elif kind == "table":
            props.table_and_chairs(b, x, z=z)
        elif kind == "shelf":
            props.shelf(b, x, z=z, turn=float(rng.normal(0, 0.2)))
        elif kind == "pillar":
            props.pillar(b, x, z=z, height=3.4, surface=Surface(builder.PLAIN, (0.5, 0.49, 0.46), 1, 2))
        elif kind == "fence":
            props.fence(b, x, z=z, length=2.2, turn=turn)
        elif kind == "low wall":
            b.box(
                (x, 0.45, z),
                (1.1, 0.45, 0.12),
                surface=Surface(builder.BRICK, (0.30, 0.12, 0.08), 1, 6),
                turn=float(rng.normal(0, 0.4)),
            )
        elif kind == "board":
            b.box(
                (x, 0.85, z),
                (0.42, 0.75, 0.04),
                surface=Surface(builder.SHOP, (0.3, 0.3, 0.3), 1.5, int(rng.integers(50))),
                turn=float(rng.normal(0, 0.4)),
            )


def _backdrop(b: Builder, depth: float, *, low: bool = False) -> None:
    """Add the row of houses, or trees, behind a place."""
    rng = b.rng
    x = -16.0
    while x < 16:
        wide = float(rng.uniform(4, 8))
        tall = float(rng.uniform(2.5, 4)) if low else float(rng.uniform(5, 11))
        tone = tuple(np.array((0.45, 0.42, 0.38)) * rng.uniform(0.5, 1.5))
        kind = int(rng.choice((builder.FACADE, builder.FACADE, builder.BRICK, builder.SHOP)))
        if kind == builder.BRICK:
            tone = (0.28, 0.12, 0.08)
        b.box(
            (x + wide / 2, tall / 2, depth + 3 + float(rng.uniform(0, 2))),
            (wide / 2, tall / 2, 1.5),
            surface=Surface(kind, tone, float(rng.uniform(0.35, 0.6)), int(rng.integers(1, 90)), 0.1),
        )
        if kind != builder.SHOP and not low and rng.random() < 0.5:
            b.box(
                (x + wide / 2, 1.5, depth + 1.4),
                (wide / 2 - 0.2, 1.5, 0.05),
                surface=Surface(builder.SHOP, (0.25, 0.25, 0.25), 0.6, int(rng.integers(90)), 0.2),
                turn=0,
                solid=False,
            )
        x += wide + (float(rng.uniform(0, 2)) if rng.random() < 0.3 else 0)


def _street(b: Builder, depth: float, width: float) -> None:
    _backdrop(b, depth)
    b.box(
        (0, 0.06, depth - 0.5),
        (16, 0.06, 1.8),
        surface=Surface(builder.PAVING, (0.32, 0.30, 0.28), 1.5, 3),
        solid=False,
    )
    for k in range(int(b.rng.integers(2, 4))):
        props.car(
            b,
            float(b.rng.uniform(-width, width)),
            z=depth - 3.2 - 0.2 * k,
            turn=math.pi / 2 + float(b.rng.normal(0, 0.04)),
        )
    props.car(
        b,
        float(b.rng.choice((-1, 1)) * b.rng.uniform(2.0, 4)),
        z=float(b.rng.uniform(4, 6.5)),
        turn=float(b.rng.normal(math.pi / 2, 0.2)),
    )
    _clutter(b, depth, width=width, kinds=("pole", "bin", "tree", "low wall", "fence", "board"), count=5)


def _plaza(b: Builder, depth: float, width: float) -> None:
    _backdrop(b, depth + 4)
    _clutter(b, depth, width=width, kinds=("planter", "bench", "pole", "bin", "tree", "table", "board"), count=8)


def _park(b: Builder, depth: float, width: float) -> None:
    b.ground(Surface(builder.ASPHALT, (0.22, 0.20, 0.17), 1, 4), (-1.0, 2.0), z=(-2, depth + 10), y=0.01)
    for x in np.arange(-15, 16, 2.6):
        props.tree(b, float(x + b.rng.normal(0, 0.6)), z=depth + float(b.rng.uniform(1, 5)))
    props.hedge(
        b, float(b.rng.uniform(-3, 3)), z=float(b.rng.uniform(6, 9)), length=3.0, turn=float(b.rng.normal(0, 0.3))
    )
    _clutter(b, depth, width=width, kinds=("bush", "bench", "tree", "bin", "pole"), count=8)
    _backdrop(b, depth + 9, low=True)


def _carpark(b: Builder, depth: float, width: float) -> None:
    for row in (depth - 0.5, 6.0):
        for x in np.arange(-9, 10, 2.9):
            if b.rng.random() < (0.75 if row > 7 else 0.42) and (row > 7 or abs(x) > 0.8):
                props.car(
                    b,
                    float(x),
                    z=row + float(b.rng.normal(0, 0.2)),
                    turn=float(b.rng.choice((0, math.pi)) + b.rng.normal(0, 0.03)),
                )
    _clutter(b, depth, width=width, kinds=("pole", "cart", "bin", "crates"), count=5)
    _backdrop(b, depth + 3, low=bool(b.rng.random() < 0.4))


def _room(b: Builder, depth: float, *, width: float, wall: Surface, height: float = 3.4) -> None:
    b.wall((-width - 1.5, depth), (width + 1.5, depth), height=height, surface=wall)
    for side in (-1.0, 1.0):
        b.wall((side * (width + 1.5), -2), (side * (width + 1.5), depth), height=height, surface=wall)
    b.ground(Surface(builder.TILES, (0.55, 0.55, 0.54), 0.8, 3), (-width - 2, width + 2), z=(-2, depth + 1), y=height)


def _mall(b: Builder, depth: float, width: float) -> None:
    _room(b, depth, width=width, wall=Surface(builder.SHOP, (0.35, 0.33, 0.30), 0.7, int(b.rng.integers(90)), 0.2))
    _clutter(b, depth, width=width, kinds=("pillar", "planter", "bench", "bin", "board", "table", "cart"), count=7)


def _lobby(b: Builder, depth: float, width: float) -> None:
    _room(
        b,
        depth,
        width=width,
        wall=Surface(int(b.rng.choice((builder.WOOD, builder.PLAIN, builder.TILES))), (0.42, 0.36, 0.30), 0.8, 5),
    )
    b.box(
        (float(b.rng.uniform(-2, 2)), 0.55, depth - 1.6),
        (1.5, 0.55, 0.35),
        surface=Surface(builder.WOOD, (0.26, 0.15, 0.08), 1, 6),
    )
    _clutter(b, depth, width=width, kinds=("pillar", "planter", "table", "board", "low wall"), count=5)


def _platform(b: Builder, depth: float, width: float) -> None:
    tone = (0.40, 0.40, 0.38)
    _room(b, depth, width=width, wall=Surface(builder.TILES, tone, 2.5, 6, 0.2), height=3.6)
    b.box(
        (-width - 0.6, 1.6, depth / 2),
        (0.9, 1.5, depth / 2),
        surface=Surface(builder.SHOP, (0.10, 0.16, 0.30), 0.5, 21, 0.3),
    )
    for z in np.arange(3.5, depth, 3.2):
        props.pillar(
            b,
            float(b.rng.uniform(-0.6, 1.2)),
            z=float(z),
            height=3.6,
            surface=Surface(builder.PLAIN, (0.3, 0.34, 0.36), 1, 2, 0.1),
        )
    _clutter(b, depth, width=width, kinds=("bench", "bin", "board", "fence"), count=4)


def _store(b: Builder, depth: float, width: float) -> None:
    _room(b, depth, width=width, wall=Surface(builder.PLAIN, (0.6, 0.58, 0.54), 1, 2))
    for x in (-width, width):
        for z in np.arange(4, depth - 1, 2.3):
            props.shelf(b, float(x), z=float(z), turn=math.pi / 2)
    _clutter(b, depth, width=width * 0.8, kinds=("shelf", "cart", "crates", "table", "pillar"), count=5)


def _yard(b: Builder, depth: float, width: float) -> None:
    b.wall(
        (-width - 2, depth), (width + 2, depth), height=2.6, surface=Surface(builder.BRICK, (0.30, 0.13, 0.09), 1, 4)
    )
    b.wall((-width - 2, 1), (-width - 2, depth), height=2.6, surface=Surface(builder.SLATS, (0.25, 0.22, 0.18), 5, 4))
    _backdrop(b, depth + 2)
    _clutter(b, depth, width=width, kinds=("crates", "bin", "bush", "low wall", "cart", "fence", "tree"), count=8)


def _promenade(b: Builder, depth: float, width: float) -> None:
    props.fence(b, 0, z=depth, length=28, turn=0.0, height=1.1)
    b.ground(
        Surface(builder.ASPHALT, (0.10, 0.16, 0.20), 1, 2, 0.3), (-30, 30), z=(depth + 1, depth + 31), y=-0.5, cell=2.0
    )
    for x in np.arange(-8, 9, 4.0):
        props.pole(b, float(x), z=depth - 0.4, sign=False)
    _clutter(b, depth, width=width, kinds=("bench", "bin", "planter", "table", "board", "tree"), count=7)


_BUILD: dict[str, Callable[[Builder, float, float], None]] = {
    "street": _street,
    "plaza": _plaza,
    "park": _park,
    "carpark": _carpark,
    "mall": _mall,
    "lobby": _lobby,
    "platform": _platform,
    "store": _store,
    "yard": _yard,
    "promenade": _promenade,
}
LAYOUTS = tuple(_BUILD)
