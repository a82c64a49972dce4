"""People at their places in a scene: their geometry in the world and on the screen, and what each covers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.capture.plate import (
    SUPERSAMPLE,
    Plate,
)
from unveil.world.people.figure import posed
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import Pose
from unveil.world.render.inputs import (
    Buffers,
    Outline,
    Strands,
)
from unveil.world.render.kernels import FAR, rasterise
from unveil.world.render.shading import strands
from unveil.world.scenes.scene import FRAME, Scene

NEAREST = 1.2  # metres: nobody nearer to the camera is drawn


@dataclass(frozen=True, eq=False)
class StagedScene:
    """A scene with its plate."""

    scene: Scene
    plate: Plate


@dataclass(frozen=True, eq=False)
class Actor:
    """A person at one time.

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
class PixelBox:
    """A rectangle of the frame in whole pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def union(self, other: PixelBox) -> PixelBox:
        """Return the smallest box that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right, bottom = (
            max(self.x + self.width, other.x + other.width),
            max(self.y + self.height, other.y + other.height),
        )
        return PixelBox(x, y, right - x, bottom - y)

    def common(self, other: PixelBox) -> PixelBox:
        """Return what two boxes share; its width or height may be 0 or less."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = (
            min(self.x + self.width, other.x + other.width),
            min(self.y + self.height, other.y + other.height),
        )
        return PixelBox(x, y, right - x, bottom - y)

    def clipped(self) -> PixelBox:
        """Return the part inside the frame; its width or height may be 0 or less."""
        return self.common(PixelBox(0, 0, *FRAME))


@dataclass(frozen=True, eq=False)
class Placed:
    """An actor's geometry in the world and on the screen."""

    actor: Actor
    points: Floats
    normals: Floats
    folds: Floats
    screen: Floats

    @cached_property
    def box(self) -> PixelBox:
        """Return the box around the whole person, possibly outside the frame."""
        across, down = (self.screen[self.actor.figure.kept, axis] for axis in (0, 1))
        x, y = math.floor(across.min()), math.floor(down.min())
        return PixelBox(x, y, max(1, math.ceil(across.max()) - x), max(1, math.ceil(down.max()) - y))

    def silhouette(self) -> int:
        """Return the supersamples that the person would cover if nothing occluded them and the frame had no end."""
        return int((drawn(self, self.box).triangle >= 0).sum())


def place(stage: StagedScene, actor: Actor) -> Placed | None:
    """Return an actor's geometry, or ``None`` when it is too near to the camera."""
    points, normals, strength = posed(actor.figure, actor.pose, position=actor.position, facing=actor.facing)
    screen = stage.scene.camera.project(points)
    if screen[:, 2].min() <= 0 or screen[:, 2].max() > 1 / NEAREST:
        return None
    return Placed(actor, points, normals, strength, screen)


def drawn(p: Placed, box: PixelBox) -> Buffers:
    """Return what is seen at each supersample of a box, for one person alone."""
    h, w, figure = box.height * SUPERSAMPLE, box.width * SUPERSAMPLE, p.actor.figure
    shift, zoom = np.array([box.x, box.y, 0], np.float32), np.array([SUPERSAMPLE, SUPERSAMPLE, 1], np.float32)
    screen = np.ascontiguousarray((p.screen - shift) * zoom)
    buffers = Buffers(np.full((h, w), FAR, np.float32), np.full((h, w), -1, np.int32), np.zeros((h, w, 2), np.float32))
    outline = Outline(screen, figure.faces, figure.keep, figure.uv, figure.material_of)
    rasterise(outline, Strands(figure.alpha_of, strands()), buffers)
    return buffers
