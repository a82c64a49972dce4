"""What is carried or put on: bags, hats, scarves and mobility aids, as simple rounded solids and shells."""

from __future__ import annotations

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.labels import code
from unveil.world.people.anatomy import anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.drape import helper
from unveil.world.people.garments import Dresser
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped
from unveil.world.people.skin import body_part
from unveil.world.people.skull import skull
from unveil.world.render.fabric import Cloth, weave

ROWS, COLUMNS = 12, 20


def accessory_pieces(dresser: Dresser) -> tuple[list[Piece], tuple[int, ...]]:
    """Return the pieces, and the bones from which hung ones dangle (they get the extra bones J, J + 1, ...)."""
    body, outfit, pack = dresser.body, dresser.outfit, load_pack()
    side = "R" if outfit.right_hand else "L"
    hung = (pack.bone(f"wrist.{side}"), pack.bone(f"wrist.{'L' if outfit.right_hand else 'R'}"))
    pieces = _bag(dresser, side, hung=len(pack.bones))
    if outfit.scarf:
        pieces += _scarf(body, outfit.scarf_cloth)
    if outfit.hat != "none":
        pieces += _hat(body, outfit.hat, cloth=outfit.hat_cloth)
    if body.identity.aid == "cane":
        pieces += _cane(body, len(pack.bones) + 1, side="L" if outfit.right_hand else "R")
    elif body.identity.aid == "walker":
        pieces += _walker(body)
    return pieces, hung


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


def _bag(dresser: Dresser, side: str, *, hung: int) -> list[Piece]:
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


def _scarf(body: Shaped, cloth: Cloth) -> list[Piece]:
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


def _hat(body: Shaped, kind: str, *, cloth: Cloth) -> list[Piece]:
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


def _cane(body: Shaped, hung: int, *, side: str) -> list[Piece]:
    """Return a walking stick; it dangles from the hand, upright."""
    wrist, metal = body.head(f"wrist.{side}"), _plain((0.10, 0.08, 0.07))
    length = 0.47 * (body.head("head")[1] - body.floor)
    path = wrist + np.array([[0, -0.09, 0.09], [0, -0.075, 0.03], [0, -0.09, 0.02], [0, -0.09 - length, 0.05]])
    return [tube(path, 0.011, bone=hung, label=code("aid", "torso"), material=metal)]


def _walker(body: Shaped) -> list[Piece]:
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
