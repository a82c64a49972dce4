"""Hats, headscarves and scarves."""

from __future__ import annotations

import numpy as np

from unveil.world.labels import code
from unveil.world.people.accessories.solids import rigid, tube
from unveil.world.people.anatomy import anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.drape import helper
from unveil.world.people.head.skull import skull
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped
from unveil.world.people.skin import body_part
from unveil.world.render.fabric import Cloth, weave


def scarf_pieces(body: Shaped, cloth: Cloth) -> list[Piece]:
    """Return a scarf around the neck with one end that hangs down."""
    pack = load_pack()
    material = Material(weave(cloth), 1, 1, 1.6, 0, 0.25)
    turn = np.linspace(0, 2 * np.pi, 25)
    neck = body.head("neck02")
    pieces = []
    for k in range(2):
        path = neck + np.stack(
            [0.082 * np.sin(turn), 0.012 * np.sin(2 * turn + k) - 0.03 * k + 0 * turn, 0.085 * np.cos(turn) - 0.01], 1
        )
        pieces.append(tube(path, 0.033, bone=pack.bone("neck01"), label=code("scarf", "torso"), material=material))
    front = float(body.points[helper().rows][:, 2].max())
    drop = neck + np.array([0.04, 0, 0])
    end = np.array([0.05, neck[1] - 0.34, front + 0.02])
    path = (
        drop
        + (end - drop) * np.linspace(0, 1, 6)[:, None]
        + np.stack([np.zeros(6), np.zeros(6), 0.07 * np.sin(np.linspace(0, np.pi, 6))], 1)
    )
    return [*pieces, tube(path, 0.03, bone=pack.bone("spine01"), label=code("scarf", "torso"), material=material)]


def hat_pieces(body: Shaped, kind: str, *, cloth: Cloth) -> list[Piece]:
    """Return a hat, cap, beanie or headscarf."""
    a, part, pack = anatomy(), body_part(), load_pack()
    material = Material(weave(cloth), 1, 1, 0.5 if kind == "beanie" else 0.2, 0, 0.2)
    t, head = a.points[part.rows], skull(body)
    rise = t[:, 1] - a.eye[1]
    if kind == "headscarf":
        face = np.hypot(t[:, 0] / 0.062, (rise + 0.025) / 0.085) - 1
        keep = np.where(t[:, 2] > 0.06, face * 0.05, 0.05)
        keep = np.minimum(keep, t[:, 1] - a.neck + 0.015)
        own = (a.head + np.isin(a.part, (0,)))[part.rows] > 0.4
    else:
        keep = rise - (0.045 if kind != "beanie" else 0.03)
        own = a.head[part.rows] > 0.3
    gap = {"beanie": 0.016, "headscarf": 0.018}.get(kind, 0.018) + 0.012 * ramp(t[:, 1], a.crown - 0.06, end=a.crown)
    outward = head.outward(body.points[part.rows])
    points = body.points[part.rows] + outward * np.asarray(gap)[:, None]
    ears = pack.masks["ears"][part.rows] > 0.3
    points = np.where(ears[:, None], head.push_out(points, 0.01), points)
    shown = own[part.faces].all(1) & (keep[part.faces].max(1) >= 0)
    label = code("hat", "head")
    uv = np.stack([t[:, 0], t[:, 2] - 0.02, a.crown - t[:, 1]], 1).astype(np.float32)
    shell = body.piece(
        part, points.astype(np.float32), faces=part.faces[shown], labels=np.full(int(shown.sum()), label, np.int32),
        material=material, keep=keep.astype(np.float32), uv=uv,
    )  # fmt: skip
    if kind in ("beanie", "headscarf"):
        return [shell]
    wide = 1.0 if kind == "cap" else np.pi
    turn = np.linspace(-wide, wide, 18 if kind == "cap" else 30)
    level = body.points[part.rows][np.abs(rise - 0.047) < 0.006, 1].mean()
    rx, rz = head.radii[0] + 0.012, head.radii[2] + 0.012
    out = 0.075 * np.cos(turn * 0.9) ** 0.5 if kind == "cap" else np.full_like(turn, 0.06)
    inner = np.stack([rx * np.sin(turn), np.full_like(turn, level), head.centre[2] + rz * np.cos(turn)], 1)
    outer = np.stack(
        [
            (rx + out * 0.5) * np.sin(turn),
            np.full_like(turn, level - 0.014),
            head.centre[2] + (rz + out) * np.cos(turn),
        ],
        1,
    )
    n = len(turn)
    i = np.arange(n - 1)[:, None]
    faces = np.concatenate([np.hstack([i, i + 1, n + i]), np.hstack([i + 1, n + i + 1, n + i])])
    brim = rigid(
        np.concatenate([inner, outer]),
        faces,
        bone=pack.bone("head"),
        label=label,
        material=material,
        uv=np.tile(np.array([0.3, 0.3, 0.1]), (2 * n, 1)),
    )
    brim.normals = np.tile(np.array([0, 1, 0], np.float32), (2 * n, 1))
    return [shell, brim]
