"""How cloth lies on a body: the clothing helpers, trouser legs, what hangs from the trunk, and necklines."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.people.anatomy import SIDES, anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.hanging import JOINTS, STATIONS
from unveil.world.people.shaped import Shaped, Subset, subset

TORSO, ARM, LEG = 0, 1, 2  # cloth coordinates that a triangle of the helper uses
DRAPE_BINS = 36
DRAPE_FALL = 0.9  # a metre: how fast hanging cloth comes back to the body


@cache
def helper() -> Subset:
    """Return the tights helper, a close shell of the whole body below the neck."""
    return subset(load_pack().faces["tights"])


@cache
def skirt_helper() -> Subset:
    """Return the skirt helper."""
    return subset(load_pack().faces["skirt"])


@cache
def regions() -> Ints:
    """Return which cloth coordinates each triangle of the helper uses: torso, arm or leg."""
    a, part = anatomy(), helper()
    arm, leg = a.arm[part.rows][part.faces].mean(1), a.leg[part.rows][part.faces].mean(1)
    low = a.along_leg[part.rows][part.faces].mean(1)
    return np.where(arm > 0.5, ARM, np.where((leg > 0.5) & (low > 0.02), LEG, TORSO)).astype(np.int32)


@cache
def part_of_faces() -> Ints:
    """Return the body part of each triangle of the helper."""
    parts = anatomy().part[helper().rows][helper().faces]
    return np.sort(parts, 1)[:, 1].astype(np.int32)


def cut_legs(body: Shaped, cut: float) -> Floats:
    """Return the helper with each trouser leg at least as wide as its cut."""
    a, rows = anatomy(), helper().rows
    points, template, t = body.points[rows], a.points[rows], a.along_leg[rows]
    for side, sign in SIDES:
        own = (template[:, 0] * sign > 0) & (t > 0.05)
        hip, knee, ankle = (body.head(f"{b}.{side}") for b in ("upperleg01", "lowerleg01", "foot"))
        thigh = np.clip((hip[1] - points[own, 1]) / (hip[1] - knee[1]), 0, 1)[:, None]
        shin = np.clip((knee[1] - points[own, 1]) / (knee[1] - ankle[1]), 0, 1)[:, None]
        axis = hip + (knee - hip) * thigh + (ankle - knee) * shin
        rel = (points[own] - axis)[:, [0, 2]]
        radius = np.linalg.norm(rel, axis=1) + 1e-5
        near = np.abs(t[own] - 0.3) < 0.06
        wide = float(np.median(radius[near])) if near.any() else 0.08
        target = wide * (0.96 + (cut - 0.96) * ramp(t[own], 0.3, end=1.0)) * ramp(t[own], 0.05, end=0.2)
        target = target * (1 - ramp(t[own], 1.0, end=1.1))
        scale = np.maximum(1, np.maximum(radius, target) / radius)
        moved = points[own]
        moved[:, [0, 2]] = axis[:, [0, 2]] + rel * scale[:, None]
        points[own] = moved
    return points


def leg_girth(body: Shaped, points: Floats, *, gap: float) -> Floats:
    """Return the girth (see `hanging`) of legs in the shell ``points``, for cloth ``gap`` metres off."""
    girth = np.zeros((2, 5), np.float32)
    legs = anatomy().arm[helper().rows] < 0.5
    for side, (name, sign) in enumerate(SIDES):
        own = points[legs & (points[:, 0] * sign > 0)]
        joints = [body.head(f"{joint}.{name}") for joint in JOINTS]
        for k, (station, end) in enumerate(STATIONS):
            for j, share in enumerate((station, end)):
                at = joints[k] + (joints[k + 1] - joints[k]) * share
                level = own[np.abs(own[:, 1] - at[1]) < 0.03]
                away = np.hypot(level[:, 0] - at[0], level[:, 2] - at[2])
                girth[side, 1 + 2 * k + j] = np.quantile(away, 0.9) + gap if len(away) else gap
    girth[:, 0] = 0.8 * girth[:, 1]  # within the hips, which hold the cloth off themselves
    return girth


def hang(body: Shaped, strength: float) -> Floats:
    """Return the helper with the trunk's cloth hanging from what juts out above it; ``strength`` in [0, 1]."""
    own, centre, rel, radius, widest = _trunk(body)
    points = body.points[helper().rows]
    hung = (radius + strength * (widest - radius)).astype(np.float32)
    q = points[own]
    q[:, [0, 2]] = centre + rel * (hung / radius)[:, None]
    points[own] = q
    return points


@lru_cache(maxsize=4)
def _trunk(body: Shaped) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    """Return the helper's vertices on the trunk, their middle, their places and distances from it, and how far out
    cloth hangs there."""
    a, rows = anatomy(), helper().rows
    own = np.flatnonzero((a.arm[rows] < 0.4) & (a.along_leg[rows] < 0.28))
    q = body.points[rows][own]
    centre = np.array([0, float(np.median(q[:, 2]))], np.float32)
    rel = q[:, [0, 2]] - centre
    radius = np.linalg.norm(rel, axis=1) + 1e-5
    turn = ((np.arctan2(rel[:, 0], rel[:, 1]) / (2 * np.pi) + 0.5) * DRAPE_BINS).astype(int) % DRAPE_BINS
    widest, out = np.zeros(DRAPE_BINS), radius.astype(np.float64)
    top = float(body.head("spine01")[1])
    level = np.full(DRAPE_BINS, top)
    for i in np.argsort(-q[:, 1]):
        if q[i, 1] <= top:
            k = turn[i]
            fallen = np.exp(-DRAPE_FALL * max(0.0, level[k] - q[i, 1]))
            around = 0.97 * max(widest[k - 1], widest[(k + 1) % DRAPE_BINS])
            widest[k], level[k] = max(radius[i], widest[k] * fallen, around), q[i, 1]
            out[i] = widest[k]
    return own, centre, rel, radius, out


def neckline(points: Floats, depth: float, *, pointed: float) -> Floats:
    """Return the field of a neckline over template points: positive below it; ``depth`` in metres."""
    a = anatomy()
    front = ramp(points[:, 2], 0.02, end=0.10)
    below = a.neck + 0.028 - points[:, 1] - depth * front
    around = (np.hypot(points[:, 0], points[:, 2] - 0.012) - 0.074) * 0.8 - 0.5 * ramp(
        points[:, 1], a.neck + 0.05, end=a.neck + 0.09
    )
    vee = pointed * np.clip(0.085 - np.abs(points[:, 0]), 0, 0.085) * front * 1.5
    return np.asarray(np.maximum(below, around) - vee, np.float32)
