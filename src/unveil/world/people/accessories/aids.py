"""Mobility aids: a cane, and a wheeled walking frame."""

from __future__ import annotations

import numpy as np

from unveil.world.labels import code
from unveil.world.people.accessories.solids import solid, tube
from unveil.world.people.body import load_pack
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped
from unveil.world.render.fabric import Cloth, weave


def cane_pieces(body: Shaped, hung: int, *, side: str) -> list[Piece]:
    """Return a walking stick; it dangles from the hand, upright."""
    wrist, metal = body.head(f"wrist.{side}"), _plain((0.10, 0.08, 0.07))
    length = 0.47 * (body.head("head")[1] - body.floor)
    path = wrist + np.array([[0, -0.09, 0.09], [0, -0.075, 0.03], [0, -0.09, 0.02], [0, -0.09 - length, 0.05]])
    return [tube(path, 0.011, bone=hung, label=code("aid", "torso"), material=metal)]


def walker_pieces(body: Shaped) -> list[Piece]:
    """Return a wheeled walking frame before the person."""
    pack, metal = load_pack(), _plain((0.55, 0.56, 0.58))
    root, label = pack.bone("root"), code("aid", "torso")
    top, floor = float(body.head("spine05")[1]) + 0.06, body.floor
    pieces = []
    for sign in (1.0, -1.0):
        x = 0.27 * sign
        path = np.array([[x, top, 0.24], [x, top - 0.02, 0.42], [x, floor + 0.1, 0.62]])
        pieces.append(tube(path, 0.014, bone=root, label=label, material=metal))
        pieces.append(
            tube(
                np.array([[x, top - 0.12, 0.44], [x, floor + 0.1, 0.22]]), 0.014, bone=root, label=label, material=metal
            )
        )
        for z in (0.22, 0.62):
            pieces.append(
                solid(
                    np.array([x, floor + 0.085, z]),
                    (0.02, 0.085, 0.085),
                    bone=root,
                    label=label,
                    material=_plain((0.04, 0.04, 0.04)),
                )
            )
    seat = solid(
        np.array([0, floor + 0.5, 0.42]),
        (0.25, 0.02, 0.13),
        bone=root,
        label=label,
        material=_plain((0.05, 0.05, 0.06)),
        roundness=0.4,
    )
    return [*pieces, seat]


def _plain(rgb: tuple[float, float, float]) -> Material:
    cloth = Cloth("grey", rgb, rgb, wear=0.1)
    return Material(weave(cloth), wrap=0.15, gloss=0.25)
