"""People in a scene at one moment: who is seen where, in light and labels, at twice the frame's resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats, Ints
from unveil.world.capture.plate import (
    FOG_METRES,
    FOGGY,
    LIGHT_MAX,
    MILLIMETRES,
    SUPERSAMPLE,
    Plate,
    light_frame,
    to_light,
)
from unveil.world.people.figure import posed
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import Pose
from unveil.world.render.inputs import (
    Buffers,
    Cloth,
    Light,
    Mesh,
    Outline,
    Plates,
    Shadow,
    Strands,
    View,
)
from unveil.world.render.kernels import FAR, compiled, lit, rasterise, shadow_depth
from unveil.world.render.shading import folds, shade, strands, to_linear
from unveil.world.scenes.scene import FRAME, Scene

PEOPLE_SHADOW, PEOPLE_REACH = 256, 2.6  # texels, metres around the first person
NEAREST = 1.2  # metres: nobody nearer to the camera is drawn


@dataclass(frozen=True, eq=False)
class Stage:
    """A scene with its plate."""

    scene: Scene
    plate: Plate


@dataclass(frozen=True, eq=False)
class Actor:
    """A person at a moment.

    Args:
        figure, pose: who and how.
        position: x and z in metres.
        facing: radians; 0 looks along +z, away from the camera.
        fold: ``(2,)`` where the folds of the clothes begin.
    """

    figure: Figure
    pose: Pose
    position: tuple[float, float]
    facing: float
    fold: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Box:
    """A rectangle of the frame in whole pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def union(self, other: Box) -> Box:
        """Return the smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right, bottom = (
            max(self.x + self.width, other.x + other.width),
            max(self.y + self.height, other.y + other.height),
        )
        return Box(x, y, right - x, bottom - y)

    def common(self, other: Box) -> Box:
        """Return what two boxes share; its width or height may be 0 or less."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = (
            min(self.x + self.width, other.x + other.width),
            min(self.y + self.height, other.y + other.height),
        )
        return Box(x, y, right - x, bottom - y)

    def clipped(self) -> Box:
        """Return the part inside the frame; its width or height may be 0 or less."""
        return self.common(Box(0, 0, *FRAME))


@dataclass(frozen=True, eq=False)
class Shot:
    """What is seen in a box; h and w are the box's size.

    Args:
        box: where.
        light: linear RGB ``(h, w, 3)``.
        labels: world label of the nearest person's surface at each supersample ``(2 h, 2 w)``; 0 where there is none.
        actor: number of the nearest person at each supersample, -1 for the scene.
        whole: world labels of the first person as if nothing else were there (amodal).
        scene_before: whether the scene hides the first person there.
    """

    box: Box
    light: Floats
    labels: Ints
    actor: Ints
    whole: Ints
    scene_before: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Placed:
    """An actor's geometry in the world and on the screen."""

    actor: Actor
    points: Floats
    normals: Floats
    folds: Floats
    screen: Floats

    @cached_property
    def box(self) -> Box:
        """Return the box around the whole person, possibly outside the frame."""
        across, down = (self.screen[self.actor.figure.kept, axis] for axis in (0, 1))
        x, y = math.floor(across.min()), math.floor(down.min())
        return Box(x, y, max(1, math.ceil(across.max()) - x), max(1, math.ceil(down.max()) - y))

    def silhouette(self) -> int:
        """Return the supersamples that the person would cover if nothing hid them and the frame had no end."""
        return int((_drawn(self, self.box).triangle >= 0).sum())


def place(stage: Stage, actor: Actor) -> Placed | None:
    """Return an actor's geometry, or ``None`` when it is too near to the camera."""
    points, normals, strength = posed(actor.figure, actor.pose, position=actor.position, facing=actor.facing)
    screen = stage.scene.camera.project(points)
    if screen[:, 2].min() <= 0 or screen[:, 2].max() > 1 / NEAREST:
        return None
    return Placed(actor, points, normals, strength, screen)


def shoot(stage: Stage, people: list[Placed], *, box: Box, sun: float = 1.0) -> Shot:
    """Draw people into a box of the frame.

    Args:
        stage: where.
        people: the first is the one whose truth is wanted.
        box: within the frame.
        sun: share of the sun's light that gets through the clouds.
    """
    camera, light, plate = stage.scene.camera, stage.scene.lighting, stage.plate
    s, h, w = SUPERSAMPLE, box.height * SUPERSAMPLE, box.width * SUPERSAMPLE
    direct_light = (light.sun * sun).astype(np.float32)
    middle = people[0].points.mean(0) if people else np.array([0, 1, stage.scene.depth / 2], np.float32)
    reach = PEOPLE_REACH if len(people) < 8 else 10.0
    size = PEOPLE_SHADOW if len(people) < 8 else 4 * PEOPLE_SHADOW
    frame = light_frame(light.direction, middle, reach=reach, size=size)
    shadow = np.full((size, size), FAR, np.float32)
    if direct_light.sum() > 0.06:
        for p in people:
            shadow_depth(to_light(frame, p.points), p.actor.figure.faces, p.actor.figure.keep, shadow)
    window = (slice(box.y * s, box.y * s + h), slice(box.x * s, box.x * s + w))
    out, depth = np.empty((h, w, 3), np.float32), np.empty((h, w), np.float32)
    feet = np.array([q for p in people for q in _feet(p)], np.float32).reshape(-1, 2)
    backdrop(
        Plates(*(np.ascontiguousarray(whole[window]) for whole in (plate.ambient, plate.direct, plate.depth))),
        View(camera.position, camera.axes, np.float32(camera.focal * s), box.x * s, box.y * s, *FRAME),
        Shadow(frame, shadow),
        feet,
        np.float32(sun),
        out,
        depth,
    )
    lighting = Light(light.direction, light.sky, light.ground, direct_light)
    shadows = Shadow(frame, shadow), Shadow(plate.frame, plate.shadow)
    labels, owner = np.zeros((h, w), np.int32), np.full((h, w), -1, np.int32)
    whole, scene_before = np.zeros((h, w), np.int32), np.zeros((h, w), bool)
    for index, p in enumerate(people):
        own = p.box.common(box)
        if own.width <= 0 or own.height <= 0:
            continue
        figure = p.actor.figure
        here = (
            slice((own.y - box.y) * s, (own.y - box.y + own.height) * s),
            slice((own.x - box.x) * s, (own.x - box.x + own.width) * s),
        )
        behind = depth[here]
        drawn = _drawn(p, own)
        near, triangle, _ = drawn
        if index == 0:
            whole[here] = np.where(triangle >= 0, figure.labels[triangle], 0)
            scene_before[here] = (triangle >= 0) & (near >= behind)
        triangle[near >= behind] = -1
        seen = triangle >= 0
        depth[here] = np.where(seen, near, behind)
        owner[here][seen] = index
        colour, kinds = np.ascontiguousarray(out[here]), np.ascontiguousarray(labels[here])
        mesh = Mesh(
            figure.faces,
            p.points,
            p.normals,
            figure.uv,
            figure.colour,
            figure.ambient,
            p.folds,
            figure.material_of,
            figure.labels,
        )
        cloth = Cloth(figure.materials, figure.textures, to_linear(), folds(), np.array(p.actor.fold, np.float32))
        shade(drawn, mesh, cloth, camera.position, lighting, shadows, colour, kinds)
        out[here], labels[here] = colour, kinds
    if stage.scene.camera.haze > FOGGY:
        share = (1 - np.exp(-np.minimum(depth, 60) / FOG_METRES))[..., None]
        out = np.where(owner[..., None] >= 0, out * (1 - share) + share * light.sky * 0.9, out)
    mean = out[::s, ::s].copy()
    for i, j in list(product(range(s), repeat=2))[1:]:
        mean += out[i::s, j::s]
    mean /= s * s
    return Shot(box, mean, labels, owner, whole, scene_before)


def _drawn(p: Placed, box: Box) -> Buffers:
    """Return what is seen at each supersample of a box, for one person alone."""
    h, w, figure = box.height * SUPERSAMPLE, box.width * SUPERSAMPLE, p.actor.figure
    shift, zoom = np.array([box.x, box.y, 0], np.float32), np.array([SUPERSAMPLE, SUPERSAMPLE, 1], np.float32)
    screen = np.ascontiguousarray((p.screen - shift) * zoom)
    buffers = Buffers(np.full((h, w), FAR, np.float32), np.full((h, w), -1, np.int32), np.zeros((h, w, 2), np.float32))
    outline = Outline(screen, figure.faces, figure.keep, figure.uv, figure.material_of)
    rasterise(outline, Strands(figure.alpha_of, strands()), buffers)
    return buffers


def _feet(p: Placed) -> Floats:
    """Return two points of the ground that the person stands on."""
    low = p.points[p.points[:, 1] < 0.05]
    if len(low) < 2:
        return np.array([p.actor.position, p.actor.position])
    split = low[:, 0] > np.median(low[:, 0])
    return np.array([low[split][:, [0, 2]].mean(0) if split.any() else low[0, [0, 2]], low[~split][:, [0, 2]].mean(0)])


@compiled
def backdrop(plates, view, people, feet, sun, out, depth):  # type: ignore[no-untyped-def]
    """Write the light and the depth of an empty scene with the shadows that people cast on it.

    Args:
        plates, view, people: see `unveil.world.render.inputs`; ``people`` is their `Shadow`.
        feet: ``(n, 2)`` x and z of where they touch the ground.
        sun: share of the sun's light that gets through the clouds.
        out: ``(H, W, 3)`` linear RGB.
        depth: ``(H, W)`` metres.
    """
    height, width = depth.shape
    step = LIGHT_MAX / (255.0 * 255.0)
    for y in range(height):
        for x in range(width):
            z = plates.depth_mm[y, x] / MILLIMETRES
            far = plates.depth_mm[y, x] == 65535
            depth[y, x] = FAR if far else z
            reach, open_sky = sun, 1.0
            if not far:
                px, py, pz = _seen_at(view, x, y, z)
                reach = sun * lit(px, py, pz, people.frame, people.depth, 0.02)
                open_sky = _above_feet(feet, px, py, pz)
            for k in range(3):
                a, b = plates.ambient[y, x, k], plates.direct[y, x, k]
                out[y, x, k] = step * (a * a * open_sky + b * b * reach)


@compiled
def _seen_at(view, x, y, z):  # type: ignore[no-untyped-def]
    """Return the point that a pixel shows at a depth of ``z`` metres."""
    eye, axes = view.eye, view.axes
    dx = (view.left + x + 0.5 - view.middle_x) / view.focal
    dy = (view.middle_y - (view.top + y + 0.5)) / view.focal
    px = eye[0] + z * (axes[0, 0] * dx + axes[1, 0] * dy + axes[2, 0])
    py = eye[1] + z * (axes[0, 1] * dx + axes[1, 1] * dy + axes[2, 1])
    pz = eye[2] + z * (axes[0, 2] * dx + axes[1, 2] * dy + axes[2, 2])
    return px, py, pz


@compiled
def _above_feet(feet, px, py, pz):  # type: ignore[no-untyped-def]
    """Return the share of the sky that people leave open above a point of the ground near their feet."""
    open_sky = 1.0
    if py < 0.15:
        for k in range(feet.shape[0]):
            d = (px - feet[k, 0]) ** 2 + (pz - feet[k, 1]) ** 2
            if d < 1.2:
                open_sky *= 1 - 0.4 * math.exp(-d / 0.016) - 0.16 * math.exp(-d / 0.15)
    return open_sky
