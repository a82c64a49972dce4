"""Scenes: a place with its ground, walls, things and light; and the fixed camera that looks at it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.scenes.builder import Builder, Footprint
from unveil.world.scenes.layouts import INDOOR, LAYOUTS, build_layout

FRAME = (960, 540)  # width and height of a camera's frame in pixels
# Sun, sky and ground light (linear RGB), elevation of the sun in degrees.
LIGHTS: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], tuple[float, float]]] = {
    "sun": ((1.30, 1.20, 1.02), (0.40, 0.46, 0.56), (0.20, 0.19, 0.17), (30, 65)),
    "low sun": ((1.15, 0.88, 0.58), (0.34, 0.38, 0.48), (0.17, 0.15, 0.13), (14, 26)),
    "overcast": ((0.16, 0.16, 0.16), (0.78, 0.81, 0.85), (0.34, 0.33, 0.32), (40, 70)),
    "fog": ((0.08, 0.08, 0.08), (0.70, 0.72, 0.74), (0.42, 0.42, 0.42), (40, 70)),
    "rain": ((0.06, 0.06, 0.06), (0.56, 0.60, 0.66), (0.20, 0.20, 0.21), (40, 70)),
    "snow": ((0.35, 0.34, 0.33), (0.72, 0.76, 0.84), (0.60, 0.62, 0.66), (25, 50)),
    "dusk": ((0.30, 0.20, 0.12), (0.26, 0.29, 0.40), (0.12, 0.11, 0.11), (8, 20)),
    "night": ((0.40, 0.31, 0.18), (0.07, 0.075, 0.10), (0.07, 0.06, 0.05), (55, 80)),
    "lamps": ((0.34, 0.32, 0.28), (0.58, 0.56, 0.50), (0.36, 0.33, 0.29), (68, 85)),
    "window": ((0.50, 0.48, 0.44), (0.42, 0.43, 0.45), (0.28, 0.26, 0.24), (25, 50)),
}
OUTDOOR_LIGHTS = ("sun", "low sun", "overcast", "fog", "rain", "snow", "dusk", "night")
INDOOR_LIGHTS = ("lamps", "window")


@dataclass(frozen=True)
class Camera:
    """A fixed camera and its sensor.

    Args:
        name: label.
        position: metres.
        axes: rows right, up, forward ``(3, 3)``.
        focal: pixels.
        gain: per channel.
        exposure, gamma, saturation, haze: of the image.
        noise: standard deviation in [0, 1].
        blur: Gaussian, pixels.
        jpeg: quality.
        resolution: share of the pixels' number, along each side, that the sensor has; the image is enlarged from it.
        chroma: standard deviation of blotches of colour in [0, 1].
        comb: pixels by which the odd rows of an interlaced image are late.
        ringing: strength of sharpening, whose rings stay beside edges.
    """

    name: str
    position: Floats
    axes: Floats
    focal: float
    gain: tuple[float, float, float]
    exposure: float
    gamma: float
    saturation: float
    haze: float
    noise: float
    blur: float
    jpeg: int
    resolution: float = 1.0
    chroma: float = 0.0
    comb: int = 0
    ringing: float = 0.0

    def project(self, points: Floats) -> Floats:
        """Return x and y in pixels and 1 / depth ``(n, 3)``; a point behind the camera has 1 / depth <= 0."""
        across, up, ahead = np.ascontiguousarray(((points - self.position) @ self.axes.T).T)
        z = np.where(np.abs(ahead) < 1e-6, 1e-6, ahead)
        screen = np.empty((len(points), 3), np.float32)
        screen[:, 0] = FRAME[0] / 2 + self.focal * across / z
        screen[:, 1] = FRAME[1] / 2 - self.focal * up / z
        screen[:, 2] = np.where(ahead > 0.05, 1 / z, -1)
        return screen


@dataclass(frozen=True)
class Lighting:
    """Light of a scene: kind, unit direction from the sun, and linear RGB from sun, sky and ground."""

    kind: str
    direction: Floats
    sun: Floats
    sky: Floats
    ground: Floats


@dataclass(frozen=True)
class Scene:
    """A place as seen by one camera.

    Args:
        layout: one of `layouts.LAYOUTS`.
        builder: its triangles.
        camera, lighting: as named.
        depth: metres to the far end of where people walk.
        width: half the width of where people walk.
    """

    layout: str
    builder: Builder
    camera: Camera
    lighting: Lighting
    depth: float
    width: float

    @property
    def footprints(self) -> list[Footprint]:
        """Ground that cannot be walked on."""
        return self.builder.footprints


def make_scene(number: int, seed: int) -> Scene:
    """Return camera ``number`` of the world of a seed; layouts and lights take turns, so that any ten differ."""
    rng = np.random.default_rng([23, seed, number])
    layout = LAYOUTS[number % len(LAYOUTS)]
    indoor = layout in INDOOR
    lights = INDOOR_LIGHTS if indoor else OUTDOOR_LIGHTS
    kind = lights[(3 * number + number // len(LAYOUTS)) % len(lights)]
    b = Builder(rng)
    depth, width = build_layout(b, layout, light=kind)
    return Scene(
        layout, b, _camera(rng, number, kind=kind, indoor=indoor), _lighting(rng, kind, indoor=indoor), depth, width
    )


def _camera(rng: np.random.Generator, number: int, *, kind: str, indoor: bool) -> Camera:
    height = float(
        (rng.uniform(1.4, 2.0), rng.uniform(2.3, 3.2), rng.uniform(3.4, 5.5))[rng.choice(3, p=(0.25, 0.45, 0.3))]
    )
    height = min(height, 2.7) if indoor else height
    position = np.array([rng.normal(0, 0.8), height, -rng.uniform(0.2, 1.5)])
    target = np.array([rng.normal(0, 0.8), 0.9, rng.uniform(5.5, 8.5)])
    forward = target - position
    forward /= np.linalg.norm(forward)
    # Right-handed with y up: looking along +z, the right of the image is -x.
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(right, forward), forward])
    dark = kind in ("night", "dusk")
    return Camera(
        name=f"c{number:02d}",
        position=position.astype(np.float32),
        axes=axes.astype(np.float32),
        focal=float(FRAME[0] * rng.uniform(0.72, 1.15)),
        gain=(1 + rng.normal(0, 0.12), 1 + rng.normal(0, 0.04), 1 + rng.normal(0, 0.14)),
        exposure=math.exp(rng.uniform(0.0, 0.85)) * {"night": 2.7, "dusk": 2.1, "rain": 1.25}.get(kind, 1.0),
        gamma=rng.uniform(1.9, 2.4),
        saturation=rng.uniform(0.55, 0.9) if kind in ("night", "fog") else rng.uniform(0.7, 1.15),
        haze=rng.uniform(0.015, 0.03) if kind == "fog" else rng.uniform(0, 0.012),
        noise=rng.uniform(0.015, 0.035) if dark else rng.uniform(0.004, 0.02),
        blur=rng.uniform(0, 0.9),
        jpeg=int(rng.uniform(50, 93)),
    )


def _lighting(rng: np.random.Generator, kind: str, *, indoor: bool) -> Lighting:
    sun, sky, ground, (low, high) = LIGHTS[kind]
    elevation, azimuth = math.radians(rng.uniform(low, high)), rng.uniform(0, 2 * math.pi)
    if kind == "window":
        azimuth = float(rng.choice((-1.2, 1.2)))
    down = np.array(
        [math.cos(elevation) * math.sin(azimuth), -math.sin(elevation), math.cos(elevation) * math.cos(azimuth)]
    )
    k = rng.uniform(0.85, 1.15)
    return Lighting(
        kind, *(np.asarray(v, np.float32) for v in (down, np.array(sun) * k, np.array(sky) * k, np.array(ground) * k))
    )
