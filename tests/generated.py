"""Writing a small dataset of coloured figures, so that every command can run in seconds; and rendered people."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unveil.world.config import World

CAMERAS = 2
SHOTS = 3


def figure(person: int, camera: int, shot: int, height: int = 64, width: int = 32) -> np.ndarray:
    """Draw a person as three bands whose colours are the identity, with camera brightness and noise."""
    rng = np.random.default_rng([person, camera, shot])
    colours = np.random.default_rng([7, person]).integers(40, 215, (3, 3))
    image = np.full((height, width, 3), 90.0)
    left = width // 4 + int(rng.integers(-2, 3))
    for band, colour in enumerate(colours):
        image[height * band // 3 : height * (band + 1) // 3, left : left + width // 2] = colour
    image = image * (0.9 + 0.2 * camera) + rng.normal(0, 6, image.shape)
    return image.clip(0, 255).astype(np.uint8)


def write_crops(root: Path, people: int = 12, test_people: int = 6) -> Path:
    """Write crops and a manifest; the last ``test_people`` are query (camera c0) and gallery (both cameras)."""
    rows = []
    for person in range(people):
        for camera in range(CAMERAS):
            for shot in range(SHOTS):
                name = f"images/p{person:02d}_c{camera}_{shot}.png"
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(figure(person, camera, shot)).save(root / name)
                test = person >= people - test_people
                split = ("query" if camera == 0 and shot == 0 else "gallery") if test else "train"
                rows.append(
                    {"path": name, "person": f"p{person:02d}", "camera": f"c{camera}", "clothes": f"p{person:02d}_a",
                     "split": split}
                )  # fmt: skip
    with (root / "manifest.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "manifest.csv"


def render_kept(world: World, config: pytest.Config) -> Path:
    """Return the folder of a rendered world that is kept between test runs."""
    from unveil.world.generate import render_world  # compiles

    folder = config.cache.mkdir(f"world-{world.hash}") / "world"
    return render_world(world, folder, processes=1).parent
