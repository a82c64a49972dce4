"""Bags, with straps that lie on the clothes."""

from __future__ import annotations

import numpy as np

from unveil.world.labels import code
from unveil.world.people.accessories.solids import solid, tube
from unveil.world.people.anatomy import anatomy
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.garments import Dresser
from unveil.world.people.mesh import Material, Piece
from unveil.world.render.fabric import weave


def bag_pieces(dresser: Dresser, side: str, *, hung: int) -> list[Piece]:
    """Return the pieces of the bag of an outfit: none, one of the back, across the body, or hung from a hand."""
    o, body, pack, a = dresser.outfit, dresser.body, load_pack(), anatomy()
    if o.bag == "none":
        return []
    label, size = code("bag", "torso"), o.bag_size
    material = Material(weave(o.bag_cloth), 1, 1, 0.5, 0, 0.15, 0.08)
    points, template = dresser.points, dresser.template
    strap = np.full(len(points), 0.024 + o.ease + (0.016 + 1.2 * o.outer_ease) * (o.outer != "none"), np.float32)
    start = len(dresser.pieces)
    if o.bag == "backpack":
        spine = body.head("spine02")
        near = (np.abs(points[:, 0]) < 0.12) & (np.abs(points[:, 1] - spine[1] - 0.08) < 0.12) & (dresser.arm < 0.3)
        back = float(points[near, 2].min()) - float(strap[0]) + 0.012
        centre = spine + np.array([0, 0.06, 0])
        centre[2] = back - 0.075 * size
        body_bag = solid(
            centre,
            (0.14 * size, 0.21 * size, 0.085 * size),
            bone=pack.bone("spine02"),
            label=label,
            material=material,
            roundness=0.55,
        )
        pocket = solid(
            centre + np.array([0, -0.07 * size, -0.075 * size]), (0.10 * size, 0.09 * size, 0.035 * size),
            bone=pack.bone("spine02"), label=label, material=material, roundness=0.5,
        )  # fmt: skip
        keep = np.minimum(
            0.021 - np.abs(np.abs(template[:, 0]) - 0.105),
            np.minimum(template[:, 1] - a.neck + 0.33, a.neck + 0.1 - template[:, 1]),
        )
        keep = np.where(dresser.arm > 0.55, -1, keep)
        dresser.shell("bag", strap, keep=keep.astype(np.float32), materials=(material, material, None), points=points)
        return [body_bag, pocket, *_taken(dresser, start)]
    sign = -1.0 if side == "R" else 1.0
    if o.bag == "crossbody":
        tilt = template[:, 0] * 0.72 * -sign + (template[:, 1] - a.neck + 0.25) * 0.69
        keep = np.minimum(0.016 - np.abs(tilt - 0.02), np.where(dresser.arm > 0.5, -1, 0.05))
        keep = np.minimum(keep, a.neck + 0.02 - template[:, 1])
        dresser.shell("bag", strap, keep=keep.astype(np.float32), materials=(material, material, None), points=points)
        hip = body.head("spine05") + np.array([-sign * 0, 0.02, 0.02])
        wide = float(np.abs(points[np.abs(points[:, 1] - hip[1]) < 0.06][:, 0]).max())
        centre = hip + np.array([sign * (min(wide, 0.24) + 0.03), 0, 0])
        return [
            solid(
                centre,
                (0.055, 0.10 * size, 0.13 * size),
                bone=pack.bone("root"),
                label=label,
                material=material,
                roundness=0.5,
            ),
            *_taken(dresser, start),
        ]
    wrist = body.head(f"wrist.{side}")
    tall, deep = (0.12, 0.15) if o.bag == "handbag" else (0.19, 0.18)
    bag = solid(
        wrist + np.array([0, -0.12 - tall * size, 0.02]),
        (0.05, tall * size, deep * size),
        bone=hung,
        label=label,
        material=material,
        roundness=0.4,
    )
    arch = np.linspace(0, np.pi, 9)
    handle = wrist + np.stack([0 * arch, -0.125 + 0.06 * np.sin(arch), 0.02 + 0.6 * deep * size * np.cos(arch)], 1)
    return [bag, tube(handle, 0.007, bone=hung, label=label, material=material)]


def _taken(dresser: Dresser, start: int) -> list[Piece]:
    """Return the pieces that were added since, and take them off the clothes."""
    added = dresser.pieces[start:]
    del dresser.pieces[start:]
    return added
