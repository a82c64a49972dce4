"""People in a scene at one moment: who is seen where, in light and labels, at twice the frame's resolution."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats, Ints
from unveil.world.capture.backdrop import backdrop
from unveil.world.capture.placed import PixelBox, Placed, StagedScene, drawn
from unveil.world.capture.plate import (
    FOG_METRES,
    FOGGY,
    SUPERSAMPLE,
    light_frame,
    to_light,
)
from unveil.world.render.inputs import (
    Cloth,
    Layers,
    Light,
    Mesh,
    Plates,
    Shadow,
    View,
)
from unveil.world.render.kernels import FAR, shadow_depth
from unveil.world.render.shading import folds, occlude, shade, to_linear
from unveil.world.scenes.scene import FRAME

PEOPLE_SHADOW, PEOPLE_REACH = 256, 2.6  # texels, metres around the first person


@dataclass(frozen=True, eq=False)
class Shot:
    """What is seen in a box; h and w are the box's size.

    Args:
        box: where.
        light: linear RGB ``(h, w, 3)``.
        labels: world label of the nearest person's surface at each supersample ``(2 h, 2 w)``; 0 where there is none.
        actor: number of the nearest person at each supersample, -1 for the scene.
        whole: world labels of the first person as if nothing else were there (amodal).
        scene_before: whether the scene occludes the first person there.
    """

    box: PixelBox
    light: Floats
    labels: Ints
    actor: Ints
    whole: Ints
    scene_before: NDArray[np.bool_]


def shoot(stage: StagedScene, people: list[Placed], *, box: PixelBox, sun: float = 1.0) -> Shot:
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
    region = (slice(box.y * s, box.y * s + h), slice(box.x * s, box.x * s + w))
    layers = Layers(
        light=np.empty((h, w, 3), np.float32),
        depth=np.empty((h, w), np.float32),
        labels=np.zeros((h, w), np.int32),
        owner=np.full((h, w), -1, np.int32),
        whole=np.zeros((h, w), np.int32),
        scene_before=np.zeros((h, w), np.bool_),
        top=0,
        left=0,
    )
    feet = np.array([q for p in people for q in _feet(p)], np.float32).reshape(-1, 2)
    backdrop(
        Plates(*(np.ascontiguousarray(part[region]) for part in (plate.ambient, plate.direct, plate.depth))),
        View(camera.position, camera.axes, np.float32(camera.focal * s), box.x * s, box.y * s, *FRAME),
        Shadow(frame, shadow),
        feet,
        np.float32(sun),
        layers.light,
        layers.depth,
    )
    lighting = Light(light.direction, light.sky, light.ground, direct_light)
    shadows = Shadow(frame, shadow), Shadow(plate.frame, plate.shadow)
    for number, p in enumerate(people):
        own = p.box.common(box)
        if own.width <= 0 or own.height <= 0:
            continue
        figure = p.actor.figure
        buffers = drawn(p, own)
        window = layers._replace(top=(own.y - box.y) * s, left=(own.x - box.x) * s)
        occlude(buffers, figure.labels, window, number)
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
        shade(buffers, mesh, cloth, camera.position, lighting, shadows, window)
    if camera.haze > FOGGY:
        of_people = layers.owner >= 0
        share = (1 - np.exp(-np.minimum(layers.depth[of_people], 60) / FOG_METRES))[:, None]
        layers.light[of_people] = layers.light[of_people] * (1 - share) + share * light.sky * 0.9
    return Shot(box, _pixels(layers.light), layers.labels, layers.owner, layers.whole, layers.scene_before)


def _pixels(light: Floats) -> Floats:
    """Return the mean of each pixel's supersamples; a channel at a time, as NumPy is slow along axes of 3."""
    s = SUPERSAMPLE
    mean = np.empty((len(light) // s, light.shape[1] // s, 3), np.float32)
    for channel in range(3):
        total = light[::s, ::s, channel].copy()
        for i, j in list(product(range(s), repeat=2))[1:]:
            total += light[i::s, j::s, channel]
        mean[..., channel] = total / (s * s)
    return mean


def _feet(p: Placed) -> Floats:
    """Return two points of the ground that the person stands on."""
    low = p.points[p.points[:, 1] < 0.05]
    if len(low) < 2:
        return np.array([p.actor.position, p.actor.position])
    split = low[:, 0] > np.median(low[:, 0])
    return np.array([low[split][:, [0, 2]].mean(0) if split.any() else low[0, [0, 2]], low[~split][:, [0, 2]].mean(0)])
