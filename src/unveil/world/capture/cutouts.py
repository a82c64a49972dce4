"""The things that stand in the world's scenes, one by one with transparency: what occluders for other images need."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import atomic_folder, cache_dir, locked, write_bytes
from unveil.errors import DataError
from unveil.progress import track
from unveil.world.capture.plate import FAR_MM, LIGHT_MAX, SUPERSAMPLE, Plate, render_plate
from unveil.world.capture.sensor import KNEE
from unveil.world.scenes import props
from unveil.world.scenes.builder import BRICK, PLAIN, SHOP, Builder, Surface
from unveil.world.scenes.scene import FRAME, LIGHTS, Camera, Lighting, Scene

VERSION = 1  # raised when the same seed would give other pixels
COUNT = 64
MAX_COUNT = 10_000
TALLEST = 320  # pixels
DEPTH, AT = 12.0, 6.0  # metres: the stage, and where on it the thing stands
EXPOSURE, GAMMA = 1.25, 2.2
SKIES = ("sun", "low sun", "overcast", "rain", "lamps", "window")
_BRICK, _STONE = Surface(BRICK, (0.30, 0.12, 0.08), 1, 6), Surface(PLAIN, (0.5, 0.49, 0.46), 1, 2)

Put = Callable[[Builder, float], None]
# What is put at the middle of the stage, turned by an angle where it has sides.
THINGS: dict[str, Put] = {
    "bench": lambda b, turn: props.bench(b, 0, z=AT, turn=turn),
    "bin": lambda b, turn: props.bin_(b, 0, z=AT),
    "board": lambda b, turn: b.box(
        (0, 0.85, AT),
        (0.42, 0.75, 0.04),
        surface=Surface(SHOP, (0.3, 0.3, 0.3), 1.5, int(b.rng.integers(50))),
        turn=turn / 4,
    ),
    "bush": lambda b, turn: props.bush(b, 0, z=AT, boxed=False),
    "car": lambda b, turn: props.car(b, 0, z=AT, turn=math.pi / 2 + turn / 4),
    "cart": lambda b, turn: props.cart(b, 0, z=AT, turn=turn),
    "crates": lambda b, turn: props.crates(b, 0, z=AT),
    "fence": lambda b, turn: props.fence(b, 0, z=AT, length=2.2, turn=turn / 4),
    "hedge": lambda b, turn: props.hedge(b, 0, z=AT, length=3.0, turn=turn / 8),
    "low wall": lambda b, turn: b.box((0, 0.45, AT), (1.1, 0.45, 0.12), surface=_BRICK, turn=turn / 4),
    "pillar": lambda b, turn: props.pillar(b, 0, z=AT, height=3.4, surface=_STONE),
    "planter": lambda b, turn: props.bush(b, 0, z=AT, boxed=True),
    "pole": lambda b, turn: props.pole(b, 0, z=AT, sign=bool(b.rng.random() < 0.5)),
    "shelf": lambda b, turn: props.shelf(b, 0, z=AT, turn=turn / 8),
    "table": lambda b, turn: props.table_and_chairs(b, 0, z=AT),
    "tree": lambda b, turn: props.tree(b, 0, z=AT),
}


def cutouts_folder(count: int = COUNT, seed: int = 0) -> Path:
    """Return the folder of the world's cut-outs in the cache, rendered when it is not there.

    Raises:
        DataError: fewer than one is asked for, or too many.
    """
    text = json.dumps([VERSION, count, seed, TALLEST, list(THINGS)])
    folder = cache_dir() / "world" / f"cutouts-{hashlib.sha256(text.encode()).hexdigest()[:10]}"
    with locked(folder):
        if not folder.is_dir():
            with atomic_folder(folder) as temporary:
                write_cutouts(temporary, count, seed=seed)
    return folder


def write_cutouts(folder: Path, count: int = COUNT, *, seed: int = 0) -> None:
    """Write cut-outs as RGBA images ``<number>_<thing>.png``; kinds take turns, at most `TALLEST` pixels high.

    Raises:
        DataError: ``count`` is not in 1 to `MAX_COUNT`.
    """
    if not 1 <= count <= MAX_COUNT:
        raise DataError(f"expected 1 to {MAX_COUNT} cut-outs, found {count}")
    names = list(THINGS)
    for number in track(range(count), "rendering cut-outs"):
        name = names[number % len(names)]
        image = render_thing(name, np.random.default_rng([41, seed, number]))
        done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
        assert done
        write_bytes(folder / f"{number:04d}_{name.replace(' ', '-')}.png", bytes(data))


def render_thing(name: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a thing alone, ``(h, w, 4)`` RGBA uint8, cropped to it; colours are not multiplied by the transparency.

    Args:
        name: one of `THINGS`.
        rng: source of chance for its details, its turn, the camera's height and the light.
    """
    builder = Builder(rng)
    THINGS[name](builder, float(rng.uniform(-math.pi, math.pi)))
    lighting = _lighting(str(rng.choice(SKIES)), rng)
    camera = _camera(np.concatenate(builder.points), float(rng.uniform(1.2, 2.6)))
    plate = render_plate(Scene("cut-out", builder, camera, lighting, DEPTH, 5.0))
    return _shrunk(*_developed(plate))


def _lighting(kind: str, rng: np.random.Generator) -> Lighting:
    sun, sky, ground, (low, high) = LIGHTS[kind]
    elevation, azimuth = math.radians(rng.uniform(low, high)), rng.uniform(-1.2, 1.2)  # from behind the camera
    flat = math.cos(elevation)
    down = (flat * math.sin(azimuth), -math.sin(elevation), flat * math.cos(azimuth))
    return Lighting(kind, *(np.asarray(v, np.float32) for v in (down, sun, sky, ground)))


def _camera(points: NDArray[np.float32], height: float) -> Camera:
    """Return a camera seven metres away whose frame the points fill."""
    middle = (points.min(0) + points.max(0)) / 2
    position = np.array([0.0, height, AT - 7.0])
    forward = (middle - position) / np.linalg.norm(middle - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(right, forward), forward])
    seen = (points - position) @ axes.T
    spread = np.abs(seen[:, :2] / seen[:, 2:]).max(0)
    focal = 0.96 * min(FRAME[0] / 2 / spread[0], FRAME[1] / 2 / spread[1])
    return Camera(
        "cut-out", position.astype(np.float32), axes.astype(np.float32), float(focal), gain=(1.0, 1.0, 1.0),
        exposure=EXPOSURE, gamma=GAMMA, saturation=1.0, haze=0.0, noise=0.0, blur=0.0, jpeg=95,
    )  # fmt: skip


def _developed(plate: Plate) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return colours times alpha ``(H, W, 3)`` and alpha ``(H, W)``, both in [0, 1], at twice the frame's size."""
    alpha = (plate.depth < FAR_MM).astype(np.float32)
    light = (plate.ambient.astype(np.float32) ** 2 + plate.direct.astype(np.float32) ** 2) * (LIGHT_MAX / 255**2)
    light *= EXPOSURE
    image = np.clip(light / (1 + np.maximum(light - KNEE, 0) * 0.55), 0, 1) ** np.float32(1 / GAMMA)
    return image * alpha[..., None], alpha


def _shrunk(colour: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    both = np.concatenate([colour, alpha[..., None]], 2)[box]
    scale = min(1 / SUPERSAMPLE, TALLEST / len(both))
    size = max(1, round(both.shape[1] * scale)), max(1, round(both.shape[0] * scale))
    both = np.asarray(cv2.resize(both, size, interpolation=cv2.INTER_AREA), np.float32)
    rgb = both[..., :3] / np.maximum(both[..., 3:], 1e-6)
    return np.asarray(np.rint(np.clip(np.concatenate([rgb, both[..., 3:]], 2), 0, 1) * 255), np.uint8)
