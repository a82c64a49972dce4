"""The bones of a body and how a pose turns them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats, Ints
from unveil.world.people.anatomy import SIDES
from unveil.world.people.body import load_pack
from unveil.world.people.pose import Limb, Pose

Doubles = NDArray[np.float64]
SPINE = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK = ("neck01", "neck02", "neck03", "head")
DOWN = np.array([0, -1.0, 0])


@dataclass(frozen=True, eq=False)
class Skeleton:
    """The bones of one body, and the turns that hang its limbs straight down: the same in every pose.

    Args:
        heads: rest positions of the bone heads ``(J, 3)``, metres.
        steps: from each bone's parent to the bone ``(J, 3)``; for the root its place.
        straight: by limb bone, the rotation that takes its rest direction to straight down.
        rolled: by arm bone, its roll around its own axis.
        fingers: by finger bone, its bend within the hand.
    """

    heads: Floats
    steps: Floats
    straight: dict[str, Doubles]
    rolled: dict[str, Doubles]
    fingers: dict[str, Doubles]


def skeleton_of(heads: Floats) -> Skeleton:
    """Return the skeleton of a body whose bones begin at ``heads (J, 3)``."""
    row, parent = _rows(), load_pack().parent
    steps = np.where(parent[:, None] < 0, heads, heads - heads[parent])
    at = heads.astype(np.float64)
    straight, rolled, fingers = {}, {}, {}
    for side, sign in SIDES:
        chain = ("upperleg01", "lowerleg01", "foot", "upperarm01", "lowerarm01", "wrist")
        hip, knee, ankle, shoulder, elbow, wrist = (at[row[f"{b}.{side}"]] for b in chain)
        for bone, along in (
            ("upperleg01", knee - hip),
            ("lowerleg01", ankle - knee),
            ("upperarm01", elbow - shoulder),
            ("lowerarm01", wrist - elbow),
        ):
            straight[f"{bone}.{side}"] = _align(along, DOWN)
        for bone, along, degrees in (
            ("upperarm01", elbow - shoulder, -sign * 12),
            ("lowerarm01", wrist - elbow, sign * 8),
            ("wrist", wrist - elbow, sign * 22),
        ):
            rolled[f"{bone}.{side}"] = _about(along / np.linalg.norm(along), degrees)
        palm = np.cross(at[row[f"finger2-1.{side}"]] - wrist, at[row[f"finger5-1.{side}"]] - wrist)
        for finger in range(1, 6):
            first, second = (f"finger{finger}-{k}.{side}" for k in (1, 2))
            axis = np.cross(at[row[second]] - at[row[first]], palm)
            axis *= -sign / np.linalg.norm(axis)
            bend = 14.0 if finger == 1 else 24.0 + 4 * finger
            fingers[first], fingers[second] = _about(axis, bend), _about(axis, bend * 2.1)
    return Skeleton(heads, steps, straight, rolled, fingers)


def bone_matrices(pose: Pose, skeleton: Skeleton) -> Floats:
    """Return the motion of each bone ``(J, 3, 4)`` from rest to a pose."""
    turns = _turns(pose, skeleton)
    where = np.zeros((len(turns), 3))
    for bones, parents in _generations():
        steps = skeleton.steps[bones, :, None]
        where[bones] = where[parents] + (turns[parents] @ steps)[:, :, 0] if len(parents) else steps[:, :, 0]
    out = np.empty((len(turns), 3, 4), np.float32)
    out[:, :, :3] = turns
    out[:, :, 3] = where - (turns @ skeleton.heads[:, :, None])[:, :, 0]
    return out


def _turns(pose: Pose, skeleton: Skeleton) -> Doubles:
    """Return the rotation ``(J, 3, 3)`` of each bone in the body's frame."""
    row = _rows()
    turns = np.zeros((len(row), 3, 3))

    def set_bone(name: str, turn: Doubles) -> None:
        turns[row[name]] = turn

    set_bone("root", _y(-0.6 * pose.twist))
    for i, bone in enumerate(SPINE, 1):
        share = i / len(SPINE)
        set_bone(bone, _y(pose.twist * (1.2 * share - 0.6)) @ _z(pose.tilt * share) @ _x(pose.spine * share**1.5))
    for i, bone in enumerate(NECK, 1):
        # The head looks ahead: it takes back most of what the back bends.
        pitch = pose.spine * (1 - 0.75 * i / 4) + pose.neck * i / 4
        set_bone(bone, _y(pose.twist * 0.5 * (1 - i / 4) + pose.turn * i / 4) @ _x(pitch))
    pelvis, chest = turns[row["root"]], turns[row["spine01"]]
    for side, sign in SIDES:
        limb = pose.left if side == "L" else pose.right
        _set_leg(set_bone, pelvis, skeleton=skeleton, limb=limb, side=side, sign=sign, toes_out=pose.toes_out)
        _set_arm(set_bone, chest, skeleton=skeleton, limb=limb, side=side, sign=sign)
    return turns[_turned_by()]


SetBone = Callable[[str, Doubles], None]


def _set_leg(
    set_bone: SetBone, pelvis: Doubles, *, skeleton: Skeleton, limb: Limb, side: str, sign: float, toes_out: float
) -> None:
    outward = pelvis @ _y(sign * toes_out * 0.6)
    thigh = outward @ _z(sign * limb.hip_out) @ _x(-limb.hip)
    set_bone(f"upperleg01.{side}", thigh @ skeleton.straight[f"upperleg01.{side}"])
    shin = thigh @ _x(limb.knee)
    set_bone(f"lowerleg01.{side}", shin @ skeleton.straight[f"lowerleg01.{side}"])
    foot = shin @ _y(sign * toes_out * 0.4) @ _x(-limb.ankle)
    foot = foot @ _y(-sign * 12)
    set_bone(f"foot.{side}", foot)
    set_bone(f"toe1-1.{side}", foot @ _x(-max(0.0, -limb.ankle) * 0.8))


def _set_arm(set_bone: SetBone, chest: Doubles, *, skeleton: Skeleton, limb: Limb, side: str, sign: float) -> None:
    upper_arm, lower_arm, wrist = f"upperarm01.{side}", f"lowerarm01.{side}", f"wrist.{side}"
    set_bone(f"clavicle.{side}", chest @ _z(-sign * 5))
    set_bone(f"shoulder01.{side}", chest @ _z(-sign * 9))
    upper = chest @ _z(sign * limb.shoulder_out) @ _x(-limb.shoulder)
    set_bone(upper_arm, upper @ skeleton.straight[upper_arm] @ skeleton.rolled[upper_arm])
    lower = upper @ _y(-sign * 18) @ _x(-limb.elbow) @ skeleton.straight[lower_arm]
    set_bone(lower_arm, lower @ skeleton.rolled[lower_arm])
    hand = lower @ skeleton.rolled[wrist]
    set_bone(wrist, hand)
    for finger in range(1, 6):
        for k in (1, 2):
            bone = f"finger{finger}-{k}.{side}"
            set_bone(bone, hand @ skeleton.fingers[bone])


@cache
def _rows() -> dict[str, int]:
    return {bone: i for i, bone in enumerate(load_pack().bones)}


@cache
def _generations() -> tuple[tuple[Ints, Ints], ...]:
    """Return the bones as many steps from the root, with their parents; the root first, without a parent."""
    parent = load_pack().parent
    depth = np.zeros(len(parent), int)
    for bone, above in enumerate(parent):
        depth[bone] = 0 if above < 0 else depth[above] + 1
    found = [np.flatnonzero(depth == d) for d in range(depth.max() + 1)]
    return tuple((bones, parent[bones][parent[bones] >= 0]) for bones in found)


@cache
def _turned_by() -> Ints:
    """Return for each bone the bone whose turn it has: itself, or the nearest above it that a pose turns."""
    turned = {"root", *SPINE, *NECK}
    for side, _ in SIDES:
        limb = ("upperleg01", "lowerleg01", "foot", "toe1-1", "clavicle", "shoulder01", "upperarm01", "lowerarm01")
        fingers = tuple(f"finger{finger}-{k}" for finger in range(1, 6) for k in (1, 2))
        turned |= {f"{bone}.{side}" for bone in (*limb, "wrist", *fingers)}
    pack = load_pack()
    found = np.arange(len(pack.bones))
    for bone, name in enumerate(pack.bones):
        if name not in turned:
            found[bone] = found[pack.parent[bone]]
    return found


def _about(axis: Doubles, degrees: float) -> Doubles:
    a = math.radians(degrees)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(a) * cross + (1 - math.cos(a)) * cross @ cross


# The turns around the axes, written out; the cosine as Rodrigues' formula rounds it in `_about`.
def _x(degrees: float) -> Doubles:
    a = math.radians(degrees)
    s, c = math.sin(a), 1 - (1 - math.cos(a))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def _y(degrees: float) -> Doubles:
    a = math.radians(degrees)
    s, c = math.sin(a), 1 - (1 - math.cos(a))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def _z(degrees: float) -> Doubles:
    a = math.radians(degrees)
    s, c = math.sin(a), 1 - (1 - math.cos(a))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def _align(a: Doubles, b: Doubles) -> Doubles:
    """Return the smallest rotation that takes the direction of ``a`` to the unit vector ``b``."""
    a = a / np.linalg.norm(a)
    axis = np.cross(a, b)
    length = np.linalg.norm(axis)
    if length < 1e-8:
        return np.eye(3)
    return _about(axis / length, math.degrees(math.atan2(length, a @ b)))
