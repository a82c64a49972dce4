"""Frames of many scenes on disk: images, who is where in them, and boxes; what a detector is trained from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import write_bytes, write_text
from unveil.errors import DataError
from unveil.progress import track
from unveil.world.arrays import Floats, Ints
from unveil.world.capture.frames import SHOTS, scene_frames

QUALITY = 95  # of JPEG


@dataclass(frozen=True, eq=False)
class FrameFile:
    """A frame on disk, its image and owners still encoded; see `unveil.world.capture.frames.Frame`."""

    jpeg: bytes
    png: bytes
    people: Ints
    boxes: Floats
    visible: Floats

    def image(self) -> NDArray[np.uint8]:
        """Return the image ``(H, W, 3)`` RGB."""
        found = np.asarray(cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        return np.ascontiguousarray(found[:, :, ::-1])

    def owner(self) -> NDArray[np.uint8]:
        """Return whom each pixel shows ``(H, W)``."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.png, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)


def write_frames(folder: Path, scenes: range, *, seed: int, shots: int = SHOTS) -> None:
    """Render the frames of scenes into a folder; scenes that are there are left alone.

    Each frame is a JPEG and a PNG of owners; the JSON of a scene is written last.
    """
    for number in track(scenes, "rendering frames", total=len(scenes)):
        table = _table(folder, number)
        if table.is_file():
            continue
        rows = []
        for k, frame in enumerate(scene_frames(number, seed, shots=shots)):
            stem = f"s{number:05d}_f{k}"
            bgr = np.ascontiguousarray(frame.image[:, :, ::-1])
            jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            write_bytes(folder / f"{stem}.jpg", bytes(jpeg))
            write_bytes(folder / f"{stem}.png", bytes(cv2.imencode(".png", frame.owner)[1]))
            rows.append(
                {"name": stem, "people": frame.people.tolist(), "boxes": frame.boxes.tolist(),
                 "visible": frame.visible.tolist()}
            )  # fmt: skip
        write_text(table, json.dumps({"seed": seed, "frames": rows}))


def read_frames(folder: Path, scenes: range, *, seed: int) -> list[FrameFile]:
    """Read the frames of scenes, in their order.

    Raises:
        DataError: a scene is not there, or is of another seed.
    """
    found = []
    for number in scenes:
        table = _table(folder, number)
        if not table.is_file():
            raise DataError(f"{folder} holds no frames of scene {number}; render them first")
        scene = json.loads(table.read_text())
        if scene["seed"] != seed:
            raise DataError(f"{table} is of seed {scene['seed']}, not {seed}; choose another folder")
        for row in scene["frames"]:
            found.append(
                FrameFile(
                    (folder / f"{row['name']}.jpg").read_bytes(), (folder / f"{row['name']}.png").read_bytes(),
                    np.array(row["people"], np.int32), np.array(row["boxes"], np.float32).reshape(-1, 4),
                    np.array(row["visible"], np.float32),
                )
            )  # fmt: skip
    return found


def _table(folder: Path, number: int) -> Path:
    return folder / f"s{number:05d}.json"
