"""Single frames of many cameras with everybody in them: what a detector of people learns from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats, Ints
from unveil.world.capture.casting import is_free
from unveil.world.capture.crops import draw_action
from unveil.world.capture.placed import Actor, PixelBox, Placed, StagedScene, place
from unveil.world.capture.plate import SUPERSAMPLE, render_plate
from unveil.world.capture.sensor import at_visit, develop
from unveil.world.capture.shot import shoot
from unveil.world.people.clothes.outfit import Outfit, draw_outfit
from unveil.world.people.figure import build_figure
from unveil.world.people.identity import Identity, draw_identity
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import pose_at
from unveil.world.people.shaped import Shaped
from unveil.world.scenes.scene import FRAME, Camera, Scene, make_scene

CAST = 8  # people of a scene
CAMERAS = 2  # that look at a scene
SHOTS = 5  # frames of a camera, unless it is told
EMPTY = 0.08  # share of frames without anybody
MAX_PEOPLE = 12  # people of a frame
TOGETHER = 0.4  # share of people who stand beside the one before
MIN_SEEN = 40  # supersamples of a person below which they have no box
FARTHEST, ASIDE = 38.0, 14.0  # metres from the camera, and from the middle of the scene
PLACES = 30  # tries to find a free place
# Heights of cameras in metres, and their shares: at eye level, above a door, on a mast or a house.
HEIGHTS = ((1.4, 2.1), (2.2, 3.5), (3.5, 9.0))
HEIGHT_SHARES = (0.2, 0.35, 0.45)


@dataclass(frozen=True, eq=False)
class Frame:
    """An image of a scene and everybody who is seen in it.

    Args:
        image: ``(H, W, 3)`` RGB uint8.
        owner: ``(H, W)`` uint8, the number of the person whom a pixel shows, from 1; 0 is the scene.
        people: ``(N,)`` those numbers.
        boxes: ``(N, 4)`` left, top, right, bottom in pixels, around what is seen of each.
        visible: ``(N,)`` seen share of the whole person, in [0, 1].
    """

    image: NDArray[np.uint8]
    owner: NDArray[np.uint8]
    people: Ints
    boxes: Floats
    visible: Floats


def scene_frames(number: int, seed: int, *, shots: int = SHOTS) -> Iterator[Frame]:
    """Yield the frames of one scene: `CAMERAS` cameras, some frames each, the same `CAST` of people.

    Args:
        number: of the scene; layouts and lights take turns.
        seed: everything is drawn from it.
        shots: frames of a camera.
    """
    rng = np.random.default_rng([83, seed, number])
    scene = make_scene(number, seed)
    cast = [_dressed(np.random.default_rng([89, seed, number, k]), (seed, 2, number, k)) for k in range(CAST)]
    for _ in range(CAMERAS):
        seen_by = replace(scene, camera=_camera(scene, rng))
        stage = StagedScene(seen_by, render_plate(seen_by))
        for _ in range(shots):
            yield _frame(stage, cast, rng=rng)


def _dressed(rng: np.random.Generator, key: tuple[int, ...]) -> tuple[Identity, Outfit, Figure]:
    identity = draw_identity(key)
    outfit = draw_outfit(rng, identity.feminine)
    return identity, outfit, build_figure(Shaped(identity), outfit)


def _camera(scene: Scene, rng: np.random.Generator) -> Camera:
    """Return another camera for a scene, from eye level to a house's height, from wide to long."""
    height = float(rng.uniform(*HEIGHTS[rng.choice(len(HEIGHTS), p=HEIGHT_SHARES)]))
    height = min(height, 2.9) if scene.layout in ("mall", "lobby", "store", "platform") else height
    position = np.array([rng.normal(0, 1.5), height, -rng.uniform(0.2, 2.0)])
    # High cameras look down, and some steeply at what is near.
    target = np.array([rng.normal(0, 1.5), 0.9, rng.uniform(2.5, 12.0)])
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    roll = rng.normal(0, math.radians(2))
    up = np.cross(right, forward)
    axes = np.stack(
        [math.cos(roll) * right + math.sin(roll) * up, math.cos(roll) * up - math.sin(roll) * right, forward]
    )
    return replace(
        at_visit(scene.camera, rng), position=position.astype(np.float32), axes=axes.astype(np.float32),
        focal=float(FRAME[0] * math.exp(rng.uniform(math.log(0.55), math.log(1.7)))),
    )  # fmt: skip


def _frame(stage: StagedScene, cast: list[tuple[Identity, Outfit, Figure]], *, rng: np.random.Generator) -> Frame:
    count = 0 if rng.random() < EMPTY else int(1 + MAX_PEOPLE * rng.beta(1.1, 2.0))
    placed: list[Placed] = []
    order = [int(k) for k in np.concatenate([rng.permutation(len(cast)) for _ in range(2)])][:count]
    at, facing = None, 0.0
    for k in order:
        identity, outfit, figure = cast[k]
        beside = at if at is not None and rng.random() < TOGETHER else None
        at = _place(stage, rng, beside=beside)
        if at is None:
            continue
        if beside is None or rng.random() < 0.3:
            facing = float(rng.uniform(0, 2 * math.pi))
        pose = pose_at(identity.gait, draw_action(identity, outfit, rng=rng), phase=float(rng.random()), rng=rng)
        fold = (float(rng.uniform(0, 256)), float(rng.uniform(0, 256)))
        found = place(stage, Actor(figure, pose, at, facing, fold))
        if found is not None and min(found.box.clipped().width, found.box.clipped().height) > 0:
            placed.append(found)
    sun = float(rng.uniform(0.15, 1.0)) if rng.random() < 0.5 else 1.0
    shot = shoot(stage, placed, box=PixelBox(0, 0, *FRAME), sun=sun)
    image = develop(shot.light, stage.scene.camera, rng=rng)
    people, boxes, visible = [], [], []
    for number, person in enumerate(placed):
        seen = shot.actor == number
        if (area := int(seen.sum())) < MIN_SEEN:
            continue
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        people.append(number + 1)
        ends = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        boxes.append([end / SUPERSAMPLE for end in ends])
        visible.append(min(1.0, area / max(1, person.silhouette())))
    owner = (shot.actor[::SUPERSAMPLE, ::SUPERSAMPLE] + 1).astype(np.uint8)
    return Frame(
        image, owner, np.array(people, np.int32), np.array(boxes, np.float32).reshape(-1, 4),
        np.array(visible, np.float32),
    )  # fmt: skip


def _place(
    stage: StagedScene, rng: np.random.Generator, *, beside: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return free ground that the camera sees, or next to somebody; ``None``: none was found."""
    camera = stage.scene.camera
    for _ in range(PLACES):
        if beside is not None:
            angle, away = rng.uniform(0, 2 * math.pi), rng.uniform(0.45, 1.1)
            x, z = beside[0] + away * math.cos(angle), beside[1] + away * math.sin(angle)
        else:
            # Half stand far away; feet of the others may be below the frame, where only the upper body is seen.
            lowest = 0.6 if rng.random() < 0.5 else 1.5
            at = rng.uniform(-0.05, 1.05) * FRAME[0], rng.uniform(0.0, lowest) * FRAME[1]
            across, down = ((p - n / 2) / camera.focal for p, n in zip(at, FRAME, strict=True))
            ray = camera.axes.T @ np.array([across, -down, 1.0])
            if ray[1] > -1e-3:
                continue
            far = -camera.position[1] / ray[1]
            x, z = (float(camera.position[k] + far * ray[k]) for k in (0, 2))
        distance = math.hypot(x - camera.position[0], z - camera.position[2])
        if distance < FARTHEST and abs(x) < ASIDE and z < stage.scene.depth + 12 and is_free(stage, (x, z)):
            return x, z
    return None
