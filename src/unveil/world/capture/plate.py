"""The empty image of a camera at twice its resolution: light without and with the sun, depth, and shadow map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import atomic_folder
from unveil.world.arrays import Floats
from unveil.world.render.inputs import Buffers, Ground, Light, Outline, Shadow, Strands, View
from unveil.world.render.kernels import FAR, rasterise, shadow_depth
from unveil.world.render.shading import strands
from unveil.world.render.surfaces import ground_noise, shade_scene
from unveil.world.scenes.builder import Footprint
from unveil.world.scenes.scene import FRAME, Lighting, Scene

SUPERSAMPLE = 2
LIGHT_MAX = 2.0  # linear light of byte 255; stored as its square root
MILLIMETRES = 1000.0
FAR_MM = 65535
SHADOW_SIZE = 1024
SCENE_REACH = 15.0  # metres around the middle of the scene that the shadow map covers
FOG_METRES = 110.0  # after which two thirds of the light are the fog's
FOGGY = 0.014  # haze of a camera from which there is fog in the scene


@dataclass(frozen=True)
class Plate:
    """What a camera sees without people; H and W are `SUPERSAMPLE` times the frame's.

    Args:
        ambient, direct: ``(H, W, 3)`` uint8, square root of linear light without and from the sun.
        depth: ``(H, W)`` uint16 millimetres along the view axis; 65535 is the sky.
        frame: light frame of ``shadow``, see `kernels.lit`.
        shadow: ``(SHADOW_SIZE, SHADOW_SIZE)`` distances along the light.
    """

    ambient: NDArray[np.uint8]
    direct: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    frame: Floats
    shadow: Floats

    def save(self, folder: Path) -> None:
        """Write the arrays where other processes can map them."""
        with atomic_folder(folder) as temporary:
            for name in ("ambient", "direct", "depth", "frame", "shadow"):
                np.save(temporary / f"{name}.npy", getattr(self, name))

    @staticmethod
    def load(folder: Path) -> Plate:
        """Map a saved plate into memory."""
        return Plate(
            **{
                n: np.load(folder / f"{n}.npy", mmap_mode="r")
                for n in ("ambient", "direct", "depth", "frame", "shadow")
            }
        )


def light_frame(direction: Floats, centre: Floats, *, reach: float, size: int) -> Floats:
    """Return the frame ``(4, 3)`` of a shadow map that covers ``reach`` metres around a centre; see `kernels.lit`."""
    right = np.cross(direction, [0.0, 1.0, 0.001])
    right /= np.linalg.norm(right)
    up = np.cross(right, direction)
    scale = size / (2 * reach)
    frame = np.stack([right * scale, up * scale, direction, np.zeros(3)])
    frame[3] = size / 2 - frame[0] @ centre, size / 2 - frame[1] @ centre, -(frame[2] @ centre)
    return frame.astype(np.float32)


def to_light(frame: Floats, points: Floats) -> Floats:
    """Return points as the shadow map's rasteriser wants them: texels and distance."""
    return np.ascontiguousarray(points @ frame[:3].T + frame[3], dtype=np.float32)


def render_plate(scene: Scene) -> Plate:
    """Draw a scene without people."""
    b, camera, light = scene.builder, scene.camera, scene.lighting
    points, normals, faces, surface_of = (
        np.ascontiguousarray(np.concatenate(x)) for x in (b.points, b.normals, b.faces, b.surface_of)
    )
    n, m = len(points), len(b.surfaces)
    surfaces = np.array([(s.kind, *s.rgb, s.scale, s.seed, s.gloss, 0) for s in b.surfaces], np.float32)
    keep = np.ones(n, np.float32)
    width, height = (SUPERSAMPLE * x for x in FRAME)
    screen = camera.project(points)
    screen[:, :2] *= SUPERSAMPLE
    seen = Buffers(
        np.full((height, width), FAR, np.float32),
        np.full((height, width), -1, np.int32),
        np.zeros((height, width, 2), np.float32),
    )
    solid = np.tile(np.array([-1, 1], np.float32), (m, 1))
    rasterise(Outline(screen, faces, keep, points, surface_of), Strands(solid, strands()), seen)
    frame = light_frame(light.direction, np.array([0, 1, scene.depth / 2]), reach=SCENE_REACH, size=SHADOW_SIZE)
    shadow = np.full((SHADOW_SIZE, SHADOW_SIZE), FAR, np.float32)
    casts = points[faces].mean(1)[:, 1] < 3.2 if light.kind in ("lamps", "window") else np.ones(len(faces), bool)
    shadow_depth(to_light(frame, points), np.ascontiguousarray(faces[casts]), keep, shadow)
    prints = np.array(scene.footprints or [Footprint(0, -99, 0.1, 0.1)], np.float32)
    ambient, direct = np.zeros((2, height, width, 3), np.float32)
    shade_scene(
        seen,
        Ground(
            faces, surface_of, surfaces, points, normals, ground_noise(), prints, np.empty((len(prints), 2), np.float32)
        ),
        View(camera.position, camera.axes, np.float32(camera.focal * SUPERSAMPLE), 0, 0, *FRAME),
        Light(light.direction, light.sky, light.ground, light.sun),
        Shadow(frame, shadow),
        ambient,
        direct,
    )
    if camera.haze > FOGGY:
        _fog(ambient, direct, depth=seen.depth, light=light)
    return Plate(
        _encode(ambient), _encode(direct), np.minimum(seen.depth * MILLIMETRES, FAR_MM).astype(np.uint16), frame, shadow
    )


def _encode(values: Floats) -> NDArray[np.uint8]:
    """Return bytes of light; ``values`` are used up."""
    np.maximum(values, 0, out=values)
    values /= LIGHT_MAX
    np.sqrt(values, out=values)
    values *= 255
    values += 0.5
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def _fog(ambient: Floats, direct: Floats, *, depth: Floats, light: Lighting) -> None:
    """Let what is far fade into the sky's light, in place."""
    share = (1 - np.exp(-np.minimum(depth, 60) / FOG_METRES))[..., None]
    ambient *= 1 - share
    ambient += share * light.sky * 0.9
    direct *= 1 - share
