"""Where people walk before a camera: paths in view, occluded or not as wished, with others around."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.capture.placed import StagedScene
from unveil.world.capture.plate import FAR_MM, MILLIMETRES, SUPERSAMPLE
from unveil.world.people.pose import Action, Gait
from unveil.world.scenes.scene import FRAME

CANDIDATES = 48
SHOULDER = 0.34  # metres around a person that must be free
WISHES = ("clear", "thing", "person")
# Points of a person at which the depth of the scene is asked: sideways in metres, height as a share.
PROBES = np.array([(x, y) for y in (0.05, 0.2, 0.4, 0.55, 0.7, 0.85, 0.95) for x in (-0.12, 0.12)])
MARGIN = 12  # pixels between a person and the frame


@dataclass(frozen=True)
class PathPoint:
    """One frame of a path: seconds since its beginning, place, direction and phase of the walk."""

    seconds: float
    position: tuple[float, float]
    facing: float
    phase: float


def speed_of(gait: Gait, action: Action, *, height: float) -> float:
    """Return metres per second."""
    if action in ("stand", "sit", "phone"):
        return 0.0
    return gait.stride * gait.cadence * 0.40 * height * (1.9 if action == "run" else 1.0)


def find_path(
    stage: StagedScene, height: float, *, gait: Gait, action: Action, frames: int, wish: str, rng: np.random.Generator
) -> list[PathPoint] | None:
    """Return a walk of some frames that fits a wish, or ``None`` when this camera has no place for it.

    Args:
        stage: where.
        height: of the person in metres.
        gait, action: how they walk.
        frames: how many.
        wish: one of `WISHES`; "thing" wants something of the scene before the person.
        rng: source of chance.
    """
    pace, best, best_score = speed_of(gait, action, height=height), None, 0.0
    for _ in range(CANDIDATES):
        scene = stage.scene
        z = float(rng.uniform(2.6, scene.depth - 0.8) if rng.random() < 0.75 else rng.uniform(2.6, 6.0))
        half = 0.48 * FRAME[0] / scene.camera.focal * (z - scene.camera.position[2])
        x = float(
            scene.camera.position[0] + scene.camera.axes[2, 0] / scene.camera.axes[2, 2] * z + rng.uniform(-half, half)
        )
        facing, seconds, phase = float(rng.uniform(0, 2 * math.pi)), 0.0, float(rng.random())
        steps = []
        for _ in range(frames):
            steps.append(PathPoint(seconds, (x, z), facing, phase))
            wait = float(rng.uniform(0.3, 0.9))
            seconds, phase = seconds + wait, phase + wait * gait.cadence / 2
            facing += float(rng.normal(0, 0.12)) + (float(rng.normal(0, 0.9)) if pace == 0 else 0)
            x, z = x + math.sin(facing) * pace * wait, z + math.cos(facing) * pace * wait
        if not all(is_free(stage, step.position) for step in steps):
            continue
        shares = []
        for step in steps:
            shares.append(visible_share(stage, step.position, height=height))
            if shares[-1] < 0.25:
                break
        if shares[-1] < 0.25:
            continue
        if wish != "thing":
            if min(shares) > 0.92:
                return steps
            score = min(shares) if min(shares) > 0.8 else 0.0
        else:
            score = 1.0 - abs(shares[0] - 0.55) if shares[0] < 0.88 else 0.0
            if score > 0.85:
                return steps
        if score > best_score:
            best, best_score = steps, score
    return best


def visible_share(stage: StagedScene, position: tuple[float, float], *, height: float) -> float:
    """Return roughly how much of a person the scene leaves visible; 0 when they are not within the frame."""
    camera = stage.scene.camera
    at = np.array([position[0], 0, position[1]], np.float32)
    ends = camera.project(np.array([at, at + np.array([0, height * 1.04, 0])], np.float32))
    low, high = ends[:, :2].min(0), ends[:, :2].max(0)
    tall = high[1] - low[1]
    inside = (
        low[1] > 2
        and high[1] < FRAME[1] - 2
        and low[0] > MARGIN + 0.2 * tall
        and high[0] < FRAME[0] - MARGIN - 0.2 * tall
    )
    if ends[:, 2].min() <= 0 or not inside or ends[:, 2].max() > 0.55:
        return 0.0
    points = at + PROBES[:, :1] * camera.axes[0] + PROBES[:, 1:] * np.array([0, height, 0])
    screen = camera.project(points.astype(np.float32))
    column = np.clip(screen[:, 0] * SUPERSAMPLE, 0, FRAME[0] * SUPERSAMPLE - 1).astype(int)
    row = np.clip(screen[:, 1] * SUPERSAMPLE, 0, FRAME[1] * SUPERSAMPLE - 1).astype(int)
    scene_depth = stage.plate.depth[row, column].astype(np.float32)
    return float(((scene_depth == FAR_MM) | (scene_depth / MILLIMETRES > 1 / screen[:, 2] - 0.12)).mean())


def is_free(stage: StagedScene, position: tuple[float, float]) -> bool:
    """Return whether a person can stand at a place."""
    x, z = position
    return not any(f.is_near(x, z, within=SHOULDER) for f in stage.scene.footprints)


def beside(
    stage: StagedScene, position: tuple[float, float], *, before: bool, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Return a free place for another person, between the camera and a position or near it; ``None``: there is none."""
    camera = stage.scene.camera.position[[0, 2]]
    to: Floats = camera - np.array(position)
    distance = float(np.linalg.norm(to))
    to = to / distance
    side = np.array([-to[1], to[0]])
    for _ in range(8):
        if before:
            at = np.array(position) + to * rng.uniform(0.5, min(1.6, distance - 2.2)) + side * rng.normal(0, 0.22)
        else:
            at = np.array(position) + to * rng.uniform(-2.5, 0.6) + side * rng.choice((-1, 1)) * rng.uniform(0.6, 1.6)
        near = float(np.linalg.norm(at - camera))
        if near > 2.0 and is_free(stage, (float(at[0]), float(at[1]))):
            return float(at[0]), float(at[1])
    return None
