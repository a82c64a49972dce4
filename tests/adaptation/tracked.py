"""Crops in tracklets, as a detector and a tracker leave them: no names of people."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from generated import figure

SECONDS = 100.0
PEOPLE = 24


def write_tracklets(root: Path, people: int = 14, cameras: int = 2, shots: int = 4) -> Path:
    """Write crops with a manifest: two people at a time are before each camera."""
    rows = []
    for person in range(people):
        for camera in range(cameras):
            for shot in range(shots):
                name = f"images/{person:02d}_{camera}_{shot}.png"
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(figure(person, camera, shot)).save(root / name)
                time = SECONDS * (person // 2) + shot
                rows.append(
                    {"path": name, "person": "", "camera": f"c{camera}", "tracklet": f"t{person}", "time": time}
                )
    with (root / "crops.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "crops.csv"
