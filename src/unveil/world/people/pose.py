"""Gait and posture: joint angles at one time, kept within the limits of the joints."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Literal

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.people.anatomy import CREASES, SIDES

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
    "twist": (-15, 15),
}


@dataclass(frozen=True)
class Gait:
    """How a person holds themselves and walks; a part of the identity.

    Args:
        stride: scale of the leg's swing; 1 is average.
        cadence: steps per second.
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
        return Limb(**{f.name: _within(getattr(self, f.name), LIMITS[f.name]) for f in fields(self)})


@dataclass(frozen=True)
class Pose:
    """A pose: angles in degrees.

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
            spine=_within(self.spine, LIMITS["spine"]),
            tilt=_within(self.tilt, LIMITS["tilt"]),
            twist=_within(self.twist, LIMITS["twist"]),
            neck=_within(self.neck, LIMITS["neck"]),
            turn=_within(self.turn, LIMITS["turn"]),
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


def _within(angle: float, limits: tuple[float, float]) -> float:
    return float(min(max(angle, limits[0]), limits[1]))


def cycle(curve: tuple[float, ...], phase: float) -> float:
    """Return a periodic curve at a phase in turns, by cubic (Catmull-Rom) interpolation."""
    x = (phase % 1) * len(curve)
    i, t = int(x), x - int(x)
    a, b, c, d = (curve[(i + k) % len(curve)] for k in (-1, 0, 1, 2))
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def pose_at(gait: Gait, action: Action, *, phase: float, rng: np.random.Generator) -> Pose:
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
