"""Gait and posture: joint angles of a moment, kept within the limits of the joints, and the bones they lead to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unveil.world.anatomy import CREASES, SIDES
from unveil.world.body import Floats, load_pack

Doubles = NDArray[np.float64]
Action = Literal["walk", "stand", "phone", "pockets", "carry", "push", "sit", "run"]
ACTIONS: tuple[Action, ...] = ("walk", "stand", "phone", "pockets", "carry", "push", "sit", "run")

# Degrees over one cycle of a leg, from heel strike; typical clinical curves of level walking.
HIP_CURVE = (28, 24, 14, 4, -6, -12, -4, 13, 26, 31)
KNEE_CURVE = (5, 17, 15, 8, 4, 10, 35, 60, 54, 22)
ANKLE_CURVE = (0, -5, 3, 7, 10, 5, -18, -8, 0, 2)

# Limits in degrees; flexion is positive.
LIMITS = {
    "hip": (-25, 110),
    "hip_out": (-5, 35),
    "knee": (0, 130),
    "ankle": (-45, 25),
    "shoulder": (-45, 100),
    "shoulder_out": (2, 60),
    "elbow": (3, 145),
    "neck": (-35, 40),
    "turn": (-65, 65),
    "spine": (-15, 45),
    "tilt": (-15, 15),
}


@dataclass(frozen=True)
class Gait:
    """How a person holds themselves and walks; a part of the identity.

    Args:
        stride: scale of the leg's swing; 1 is average.
        cadence: steps a second.
        arm_swing: scale of the arm's swing.
        elbow: degrees of bend of a hanging arm.
        arms_out: degrees that the arms stand off.
        width: degrees that the legs stand apart.
        toes_out: degrees of the feet.
        lean: degrees forward of the trunk.
        hunch: degrees forward of the upper back and neck.
        head_up: degrees; negative looks at the ground.
        sway: degrees of the pelvis and shoulders per step.
        knee: degrees of bend that never go away.
        limp: 0 even; 1 swings the right leg half as far.
    """

    stride: float = 1
    cadence: float = 1.8
    arm_swing: float = 1
    elbow: float = 15
    arms_out: float = 8
    width: float = 3
    toes_out: float = 5
    lean: float = 2
    hunch: float = 4
    head_up: float = 0
    sway: float = 5
    knee: float = 3
    limp: float = 0


@dataclass(frozen=True)
class Limb:
    """Angles of one side in degrees."""

    hip: float = 0
    hip_out: float = 0
    knee: float = 0
    ankle: float = 0
    shoulder: float = 0
    shoulder_out: float = 5
    elbow: float = 10

    def limited(self) -> Limb:
        """Return the limb with each angle within its joint's limits."""
        return Limb(**{f.name: float(np.clip(getattr(self, f.name), *LIMITS[f.name])) for f in fields(self)})


@dataclass(frozen=True)
class Pose:
    """A moment: angles in degrees.

    Args:
        left, right: limbs.
        spine: forward bend, spread over the spine.
        tilt: sideways bend.
        twist: turn of the shoulders against the pelvis.
        neck: forward bend of neck and head.
        turn: turn of the head.
        toes_out: of the feet.
    """

    left: Limb = field(default_factory=Limb)
    right: Limb = field(default_factory=Limb)
    spine: float = 0
    tilt: float = 0
    twist: float = 0
    neck: float = 0
    turn: float = 0
    toes_out: float = 5

    def limited(self) -> Pose:
        """Return the pose within the limits of the joints."""
        return replace(
            self,
            left=self.left.limited(),
            right=self.right.limited(),
            spine=float(np.clip(self.spine, *LIMITS["spine"])),
            tilt=float(np.clip(self.tilt, *LIMITS["tilt"])),
            twist=float(np.clip(self.twist, -15, 15)),
            neck=float(np.clip(self.neck, *LIMITS["neck"])),
            turn=float(np.clip(self.turn, *LIMITS["turn"])),
        )

    def flexion(self) -> Floats:
        """Return how far each of `CREASES` is bent, 0 straight to 1 fully."""
        found = []
        for name in CREASES:
            joint, side = name.split(".")
            limb = self.left if side == "L" else self.right
            angle = {"elbow": limb.elbow, "knee": limb.knee, "hip": abs(limb.hip) * 1.5, "shoulder": 45.0}[joint]
            found.append(min(1.0, 0.15 + angle / 70))
        return np.array(found, np.float32)


def cycle(curve: tuple[float, ...], phase: float) -> float:
    """Return a periodic curve at a phase in turns, by cubic (Catmull-Rom) interpolation."""
    x = (phase % 1) * len(curve)
    i, t = int(x), x - int(x)
    a, b, c, d = (curve[(i + k) % len(curve)] for k in (-1, 0, 1, 2))
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def moment(gait: Gait, action: Action, phase: float, rng: np.random.Generator) -> Pose:
    """Return the pose of a person at a phase (turns) of their walk, with the small unsteadiness of a living body."""
    still = action in ("stand", "sit", "phone")
    swing = 0.0 if still else gait.stride * (1.35 if action == "run" else 1.0)
    limbs = {}
    for k, (side, _) in enumerate(SIDES):
        p = phase + 0.5 * k
        own = swing * (1 - 0.5 * gait.limp * k)
        shift = rng.normal(0, 3) if still else rng.normal(0, 1)
        hip = (cycle(HIP_CURVE, p) - 8) * own + shift
        knee = gait.knee + cycle(KNEE_CURVE, p) * min(1.5, own) ** 0.7 + (18 if action == "run" else 0)
        arm = -17 * math.cos(2 * math.pi * p) * own * gait.arm_swing + 3 + rng.normal(0, 2)
        bend = gait.elbow + 9 * own * max(0.0, math.sin(2 * math.pi * p)) + abs(rng.normal(0, 2))
        limbs[side] = Limb(
            hip, gait.width * 0.5, knee, cycle(ANKLE_CURVE, p) * 0.8 * own, arm, gait.arms_out + abs(rng.normal(0, 2)),
            bend + (65 if action == "run" else 0),
        )  # fmt: skip
    left, right = limbs["L"], limbs["R"]
    neck = gait.hunch * 0.5 - gait.head_up + rng.normal(0, 4)
    if action == "phone":
        right = replace(right, shoulder=28 + rng.normal(0, 5), elbow=105 + rng.normal(0, 10), shoulder_out=12)
        neck += 16
    elif action == "pockets":
        left, right = (replace(x, shoulder=-8, elbow=42, shoulder_out=16) for x in (left, right))
    elif action == "carry":
        right = replace(right, shoulder=right.shoulder * 0.3, elbow=6, shoulder_out=9)
    elif action == "push":
        left, right = (replace(x, shoulder=34, elbow=48, shoulder_out=8) for x in (left, right))
    elif action == "sit":
        left, right = (
            replace(x, hip=84, knee=82, ankle=0, shoulder=22, elbow=62, shoulder_out=14) for x in (left, right)
        )
    step = math.sin(2 * math.pi * phase) * (0 if still else 1)
    return Pose(
        left, right,
        spine=gait.lean + gait.hunch + (8 if action in ("push", "run") else 0),
        tilt=rng.normal(0, 1),
        twist=gait.sway * step + (rng.normal(0, 3) if still else 0),
        neck=neck,
        turn=rng.normal(0, 14),
        toes_out=gait.toes_out,
    ).limited()  # fmt: skip


def bone_matrices(pose: Pose, heads: Floats) -> Floats:
    """Return the motion of each bone ``(J, 3, 4)`` from rest to a pose.

    Args:
        pose: joint angles.
        heads: rest positions ``(J, 3)`` of the bone heads of this body.
    """
    pack = load_pack()
    turns = _turns(pose, heads.astype(np.float64))
    where = np.zeros((len(turns), 3))
    out = np.zeros((len(turns), 3, 4), np.float32)
    for b, parent in enumerate(pack.parent):
        where[b] = heads[b] if parent < 0 else where[parent] + turns[parent] @ (heads[b] - heads[parent])
        out[b, :, :3] = turns[b]
        out[b, :, 3] = where[b] - turns[b] @ heads[b]
    return out


def _turns(pose: Pose, heads: Doubles) -> Doubles:
    """Return the rotation ``(J, 3, 3)`` of each bone in the body's frame."""
    pack, row = load_pack(), _rows()
    turns = np.zeros((len(pack.bones), 3, 3))
    done = np.zeros(len(turns), bool)

    def set_bone(name: str, turn: Doubles) -> None:
        turns[row[name]], done[row[name]] = turn, True

    set_bone("root", _y(-0.6 * pose.twist))
    spine = ("spine05", "spine04", "spine03", "spine02", "spine01")
    for i, bone in enumerate(spine, 1):
        share = i / len(spine)
        set_bone(bone, _y(pose.twist * (1.2 * share - 0.6)) @ _z(pose.tilt * share) @ _x(pose.spine * share**1.5))
    chest = turns[row["spine01"]]
    for i, bone in enumerate(("neck01", "neck02", "neck03", "head"), 1):
        # The head looks ahead: it takes back most of what the back bends.
        pitch = pose.spine * (1 - 0.75 * i / 4) + pose.neck * i / 4
        set_bone(bone, _y(pose.twist * 0.5 * (1 - i / 4) + pose.turn * i / 4) @ _x(pitch))
    for side, sign in SIDES:
        limb = pose.left if side == "L" else pose.right
        _set_leg(set_bone, turns, heads, limb, side, sign, pose.toes_out)
        _set_arm(set_bone, chest, heads, limb, side, sign)
    for b, parent in enumerate(pack.parent):
        if not done[b]:
            turns[b] = turns[parent]
    return turns


def _set_leg(set_bone, turns, heads, limb: Limb, side: str, sign: float, toes_out: float) -> None:  # type: ignore[no-untyped-def]
    row = _rows()
    hip, knee, ankle = (heads[row[f"{b}.{side}"]] for b in ("upperleg01", "lowerleg01", "foot"))
    pelvis = turns[row["root"]]
    outward = pelvis @ _y(sign * toes_out * 0.6)
    thigh = outward @ _z(sign * limb.hip_out) @ _x(-limb.hip)
    set_bone(f"upperleg01.{side}", thigh @ _align(knee - hip, np.array([0, -1.0, 0])))
    shin = thigh @ _x(limb.knee)
    set_bone(f"lowerleg01.{side}", shin @ _align(ankle - knee, np.array([0, -1.0, 0])))
    foot = shin @ _y(sign * toes_out * 0.4) @ _x(-limb.ankle)
    set_bone(f"foot.{side}", foot @ _y(-sign * 12))
    set_bone(f"toe1-1.{side}", foot @ _y(-sign * 12) @ _x(-max(0.0, -limb.ankle) * 0.8))


def _set_arm(set_bone, chest, heads, limb: Limb, side: str, sign: float) -> None:  # type: ignore[no-untyped-def]
    row = _rows()
    shoulder, elbow, wrist = (heads[row[f"{b}.{side}"]] for b in ("upperarm01", "lowerarm01", "wrist"))
    drop = chest @ _z(-sign * 5)
    set_bone(f"clavicle.{side}", drop)
    set_bone(f"shoulder01.{side}", chest @ _z(-sign * 9))
    down = np.array([0, -1.0, 0])
    upper = chest @ _z(sign * limb.shoulder_out) @ _x(-limb.shoulder)
    set_bone(f"upperarm01.{side}", upper @ _align(elbow - shoulder, down) @ _twist(elbow - shoulder, -sign * 12))
    lower = upper @ _y(-sign * 18) @ _x(-limb.elbow)
    rest = wrist - elbow
    set_bone(f"lowerarm01.{side}", lower @ _align(rest, down) @ _twist(rest, sign * 8))
    hand = lower @ _align(rest, down) @ _twist(rest, sign * 22)
    set_bone(f"wrist.{side}", hand)
    palm = np.cross(heads[row[f"finger2-1.{side}"]] - wrist, heads[row[f"finger5-1.{side}"]] - wrist)
    for finger in range(1, 6):
        first, second = (heads[row[f"finger{finger}-{k}.{side}"]] for k in (1, 2))
        axis = np.cross(second - first, palm)
        axis *= -sign / np.linalg.norm(axis)
        bend = 14.0 if finger == 1 else 24.0 + 4 * finger
        set_bone(f"finger{finger}-1.{side}", hand @ _about(axis, bend))
        set_bone(f"finger{finger}-2.{side}", hand @ _about(axis, bend * 2.1))


@cache
def _rows() -> dict[str, int]:
    return {bone: i for i, bone in enumerate(load_pack().bones)}


def _about(axis: Doubles, degrees: float) -> Doubles:
    a = math.radians(degrees)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(a) * cross + (1 - math.cos(a)) * cross @ cross


def _x(degrees: float) -> Doubles:
    return _about(np.array([1.0, 0, 0]), degrees)


def _y(degrees: float) -> Doubles:
    return _about(np.array([0, 1.0, 0]), degrees)


def _z(degrees: float) -> Doubles:
    return _about(np.array([0, 0, 1.0]), degrees)


def _align(a: Doubles, b: Doubles) -> Doubles:
    """Return the smallest rotation that takes the direction of ``a`` to the unit vector ``b``."""
    a = a / np.linalg.norm(a)
    axis = np.cross(a, b)
    length = np.linalg.norm(axis)
    if length < 1e-8:
        return np.eye(3)
    return _about(axis / length, math.degrees(math.atan2(length, a @ b)))


def _twist(axis: Doubles, degrees: float) -> Doubles:
    return _about(axis / np.linalg.norm(axis), degrees)
