"""Where each vertex of the template lies: body part, place along arm and leg, and cloth coordinates.

Everything is measured once on the template, so that a hem or a hairline has the same place on every body shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats
from unveil.world.labels import PARTS
from unveil.world.people.body import Pack, load_pack

SIDES = (("L", 1.0), ("R", -1.0))
JOINTS = ("elbow", "knee", "hip", "shoulder")
CREASES = tuple(f"{joint}.{side}" for joint in JOINTS for side, _ in SIDES)
CREASE_REACH = {"elbow": 0.07, "knee": 0.10, "hip": 0.10, "shoulder": 0.09}
TORSO_TURN, ARM_TURN, LEG_TURN = 1.0, 0.34, 0.5  # circumference in metres of cloth around torso, arm and leg


@dataclass(frozen=True)
class Anatomy:
    """Per-vertex measures of the template; n vertices.

    Args:
        points: template vertices ``(n, 3)``, metres.
        part: number in `labels.PARTS`.
        arm: skin weight of the arm, hand included, in [0, 1].
        leg: skin weight of the leg.
        head: skin weight of the head.
        hand: skin weight of the hand.
        along_arm: 0 at the shoulder, 1 at the wrist; below 0 on the torso.
        along_leg: 0 at the hip, 1 at the ankle, by height.
        torso_uv, arm_uv, leg_uv: cloth coordinates (sine, cosine of the turn, metres down) around torso or limb.
        crease: how near each crease joint is ``(n, len(CREASES))`` in [0, 1].
        eye: centre of the left eye.
        crown: height of the top of the head.
        shoulder, waist, crotch, ankle, neck: heights.
        arm_length, leg_length: metres.
    """

    points: Floats
    part: NDArray[np.int64]
    arm: Floats
    leg: Floats
    head: Floats
    hand: Floats
    along_arm: Floats
    along_leg: Floats
    torso_uv: Floats
    arm_uv: Floats
    leg_uv: Floats
    crease: Floats
    eye: Floats
    crown: float
    shoulder: float
    waist: float
    crotch: float
    ankle: float
    neck: float
    arm_length: float
    leg_length: float


def ramp(x: Floats, start: float, *, end: float) -> Floats:
    """Return 0 before ``start``, 1 after ``end`` and a straight line between."""
    return np.clip((x - start) / (end - start), 0, 1).astype(np.float32)


@cache
def anatomy() -> Anatomy:
    """Return the measures of the template; computed once a process."""
    pack = load_pack()
    points, heads = pack.base[: pack.n], dict(zip(pack.bones, pack.base[pack.n :], strict=True))
    arm = _weight(pack, ("upperarm", "lowerarm", "wrist", "finger"))
    leg = _weight(pack, ("upperleg", "lowerleg", "foot", "toe"))
    along_arm = np.zeros(pack.n, np.float32)
    arm_uv, leg_uv = np.zeros((pack.n, 3), np.float32), np.zeros((pack.n, 3), np.float32)
    for side, sign in SIDES:
        own = points[:, 0] * sign >= 0
        joints = [heads[f"{b}.{side}"] for b in ("upperarm01", "lowerarm01", "wrist")]
        along, uv = _around_arm(points, joints, sign=sign)
        along_arm[own], arm_uv[own] = along[own], uv[own]
        joints = [heads[f"{b}.{side}"] for b in ("upperleg01", "lowerleg01", "foot")]
        leg_uv[own] = _around_leg(points, joints, sign=sign)[own]
    hip, foot = heads["upperleg01.L"], heads["foot.L"]
    leg_length = float(hip[1] - foot[1])
    on_arm = ramp(arm, 0.05, end=0.5)
    top = float(heads["neck01"][1]) + 0.06
    return Anatomy(
        points=points,
        part=_parts(pack),
        arm=arm,
        leg=leg,
        head=_weight(pack, ("head",)),
        hand=_weight(pack, ("wrist", "finger")),
        along_arm=(along_arm * on_arm - 0.35 * (1 - on_arm)).astype(np.float32),
        along_leg=((hip[1] - points[:, 1]) / leg_length).astype(np.float32),
        torso_uv=np.stack([points[:, 0], points[:, 2] - 0.03, top - points[:, 1]], 1).astype(np.float32),
        arm_uv=arm_uv,
        leg_uv=leg_uv,
        crease=_creases(pack, heads),
        eye=points[np.unique(pack.faces["eye_l"])].mean(0),
        crown=float(points[np.unique(pack.faces["body"]), 1].max()),
        shoulder=float(heads["upperarm01.L"][1]),
        waist=float(heads["spine04"][1]) + 0.03,
        crotch=float(hip[1]) - 0.06,
        ankle=float(foot[1]),
        neck=float(heads["neck01"][1]),
        arm_length=float(
            _length(heads, "upperarm01.L", b="lowerarm01.L") + _length(heads, "lowerarm01.L", b="wrist.L")
        ),
        leg_length=leg_length,
    )


def _length(heads: dict[str, Floats], a: str, *, b: str) -> float:
    return float(np.linalg.norm(heads[a] - heads[b]))


def _weight(pack: Pack, prefixes: tuple[str, ...]) -> Floats:
    rows = [i for i, bone in enumerate(pack.bones) if bone.startswith(prefixes)]
    return np.asarray((pack.weight * np.isin(pack.weight_bone, rows)).sum(1), np.float32)


def _parts(pack: Pack) -> NDArray[np.int64]:
    """Return the part of each vertex: that of the bones which hold most of it."""
    limb = {"upperarm": "upper-arm", "lowerarm": "lower-arm", "wrist": "lower-arm", "finger": "lower-arm"}
    limb |= {"upperleg": "upper-leg", "lowerleg": "lower-leg", "foot": "foot", "toe": "foot"}
    of_bone = []
    for bone in pack.bones:
        name = next((part for prefix, part in limb.items() if bone.startswith(prefix)), None)
        side = "left-" if bone.endswith("L") else "right-"
        body = "head" if bone.startswith(("head", "neck")) else "torso"
        of_bone.append(PARTS.index(side + name if name else body))
    share = np.zeros((pack.n, len(PARTS)), np.float32)
    for k in range(4):
        np.add.at(share, (np.arange(pack.n), np.array(of_bone)[pack.weight_bone[:, k]]), pack.weight[:, k])
    return share.argmax(1)


def _around_arm(points: Floats, joints: list[Floats], *, sign: float) -> tuple[Floats, Floats]:
    shoulder, elbow, wrist = joints
    upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    first = (points - shoulder) @ (elbow - shoulder) / upper
    second = (points - elbow) @ (wrist - elbow) / lower
    metres = np.where(second > 0, upper + np.maximum(second, 0), np.minimum(first, upper))
    t = np.clip(metres / upper, 0, None)[:, None]
    bend = np.clip((metres - upper) / lower, 0, 1.3)[:, None]
    centre = np.where(t < 1, shoulder + (elbow - shoulder) * t, elbow + (wrist - elbow) * bend)
    axis = (elbow - shoulder) / upper
    front = np.array([0, 0, 1.0]) - axis * axis[2]
    front /= np.linalg.norm(front)
    across = np.cross(axis, front) * sign
    rel = points - centre
    uv = np.stack([rel @ across, rel @ front, metres], 1)
    return (metres / (upper + lower)).astype(np.float32), uv.astype(np.float32)


def _around_leg(points: Floats, joints: list[Floats], *, sign: float) -> Floats:
    hip, knee, ankle = joints
    thigh = np.clip((hip[1] - points[:, 1]) / (hip[1] - knee[1]), 0, 1)[:, None]
    shin = np.clip((knee[1] - points[:, 1]) / (knee[1] - ankle[1]), 0, 1)[:, None]
    rel = points - (hip + (knee - hip) * thigh + (ankle - knee) * shin)
    return np.stack([rel[:, 0] * sign, rel[:, 2], hip[1] + 0.15 - points[:, 1]], 1).astype(np.float32)


def _creases(pack: Pack, heads: dict[str, Floats]) -> Floats:
    bone = {"elbow": "lowerarm01", "knee": "lowerleg01", "hip": "upperleg01", "shoulder": "upperarm01"}
    near = []
    for name in CREASES:
        joint, side = name.split(".")
        distance = np.linalg.norm(pack.base[: pack.n] - heads[f"{bone[joint]}.{side}"], axis=1)
        near.append(np.exp(-((distance / CREASE_REACH[joint]) ** 2)))
    return np.stack(near, 1).astype(np.float32)
