"""Renders a world into a folder: cameras, then people, on any number of processes; resumes after a kill."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from unveil.atomic_io import locked, sha256, write_bytes, write_text
from unveil.data.parsing_tree import parsing_path
from unveil.data.readers.manifest import FILE, write_manifest
from unveil.errors import DataError, InterruptedRunError, UnveilError
from unveil.progress import track
from unveil.records import Dataset, Sample
from unveil.world.capture.crops import person_crops
from unveil.world.capture.placed import StagedScene
from unveil.world.capture.plate import Plate, render_plate
from unveil.world.config import VERSION, World
from unveil.world.people.body import checked_bytes
from unveil.world.scenes.scene import Scene, make_scene
from unveil.world.workers import Workers

PLAN, CARD, WORK = "plan.json", "card.json", ".work"
STAGES_HELD = 12  # cameras whose plates a process keeps mapped, 25 MB each
SCENES_HELD = 64  # cameras whose geometry a process keeps, 1 MB each
BYTES_PER_CROP, BYTES_PER_CAMERA = 14_000, 25_000_000


def render_world(world: World, folder: Path, *, processes: int | None = None) -> Path:
    """Render a world into a folder; what is there already from a render that was stopped is kept.

    Args:
        world: what to render.
        folder: new, empty, or the same world's.
        processes: how many; as many as there are cores by default. The pixels do not depend on it.

    Returns:
        The path of the manifest.

    Raises:
        DataError: the folder holds something else, a number is out of range, or the body pack is damaged.
        InterruptedRunError: interrupted by Ctrl-C; what is done is kept.
        UnveilError: the folder cannot be written, or there is no space.
    """
    if processes is not None and processes < 1:
        raise DataError(f"world: processes must be at least 1, got {processes}")
    with locked(folder):
        return _render(world, folder, processes=processes or os.cpu_count() or 1)


def _render(world: World, folder: Path, *, processes: int) -> Path:
    checked_bytes()
    _claim(world, folder)
    if (folder / CARD).is_file():
        # What a kill between the card and the end left; the world is whole, whether it can be removed or not.
        shutil.rmtree(folder / WORK, ignore_errors=True)
        return folder / FILE
    cameras = [k for k in range(world.cameras) if not _plate_folder(folder, k).is_dir()]
    people = [p for p in range(world.people) if not _shard(folder, p).is_file()]
    _check_space(world, folder, cameras=len(cameras), people=len(people))
    try:
        _spread(world, folder, cameras=cameras, people=people, processes=processes)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"the render was stopped; what is done is kept in {folder}: render it again to resume"
        ) from None
    _finish(world, folder)
    return folder / FILE


def load_stage(world: World, folder: Path, *, camera: int) -> StagedScene:
    """Return a camera's scene, with its plate from the folder of a render in progress, or drawn anew."""
    scene = _scene(world.seed, camera)
    stored = _plate_folder(folder, camera)
    if not stored.is_dir():
        return StagedScene(scene, render_plate(scene))
    try:
        return StagedScene(scene, Plate.load(stored))
    except (ValueError, OSError, EOFError) as e:
        raise DataError(f"{stored} is damaged ({e}): delete it, and render again to resume") from None


@lru_cache(maxsize=SCENES_HELD)
def _scene(seed: int, camera: int) -> Scene:
    return make_scene(camera, seed)


def _plate_folder(folder: Path, camera: int) -> Path:
    return folder / WORK / f"camera{camera:03d}"


def _shard(folder: Path, person: int) -> Path:
    return folder / WORK / f"p{person:05d}.json"


def _claim(world: World, folder: Path) -> None:
    """Mark a folder as this world's, or refuse it."""
    plan = json.dumps({"version": VERSION, "hash": world.hash, **world.parameters}, indent=2) + "\n"
    path = folder / PLAN
    if path.is_file():
        if path.read_bytes() != plan.encode():
            raise DataError(f"{folder} holds another world (see {PLAN}); choose another folder, or remove it")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not an empty folder; choose another")
    write_text(path, plan)


def _check_space(world: World, folder: Path, *, cameras: int, people: int) -> None:
    """Raise UnveilError where the cameras and people that are missing do not fit."""
    need = world.crops // world.people * people * BYTES_PER_CROP + cameras * BYTES_PER_CAMERA
    free = shutil.disk_usage(folder).free
    if free < need:
        raise UnveilError(
            f"{folder}: rendering needs about {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "make room, or set UNVEIL_CACHE to a larger disk"
        )


def _spread(world: World, folder: Path, *, cameras: list[int], people: list[int], processes: int) -> None:
    """Render cameras, then people, on some processes."""
    steps = (("camera", cameras, "preparing cameras"), ("person", people, "rendering people"))
    processes = min(processes, max(len(cameras), len(people)))
    if processes <= 1:
        for part, numbers, what in steps:
            for number in track(numbers, what):
                PARTS[part](world, folder, number)
        return
    with Workers(processes, json.dumps(world.parameters), folder=folder) as workers:
        for part, numbers, what in steps:
            for _ in track(workers.run(part, numbers), what, total=len(numbers)):
                pass


def _render_camera(world: World, folder: Path, camera: int) -> None:
    render_plate(make_scene(camera, world.seed)).save(_plate_folder(folder, camera))


@lru_cache(maxsize=STAGES_HELD)
def _stage(world: World, folder: Path, camera: int) -> StagedScene:
    return load_stage(world, folder, camera=camera)


def _render_person(world: World, folder: Path, person: int) -> None:
    """Write a person's crops, and last the shard that says that they are complete."""
    rows = []
    made: set[Path] = set()
    for crop in person_crops(world, person, stage_of=partial(_stage, world, folder)):
        files = {parsing_path(folder, scheme, key=crop.name): png for scheme, png in crop.parsing.items()}
        for path, content in (files | {folder / crop.name: crop.jpeg}).items():
            try:
                if path.parent not in made:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    made.add(path.parent)
                path.write_bytes(content)
            except OSError as e:
                raise UnveilError(
                    f"cannot write {path}: {e.strerror or e}; what is done is kept: make room, and render it again"
                ) from e
        rows.append({"path": crop.name, **crop.row})
    write_bytes(_shard(folder, person), json.dumps(rows).encode())


PARTS: dict[str, Callable[[World, Path, int], None]] = {"camera": _render_camera, "person": _render_person}


def _rows(world: World, folder: Path) -> Iterator[dict[str, str]]:
    for person in range(world.people):
        path = _shard(folder, person)
        try:
            rows = json.loads(path.read_bytes())
            if not all(isinstance(cell, str) for row in rows for cell in (row["path"], *row.values())):
                raise TypeError("not a table of texts")
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise DataError(f"{path} is damaged ({e}): delete it, and render again to resume") from None
        yield from rows


def _finish(world: World, folder: Path) -> None:
    """Write the manifest and, last, the card; then remove what was only for the work."""
    rows = list(_rows(world, folder))
    named = ("person", "camera", "clothes", "tracklet", "time", "split", "path")
    samples = tuple(
        Sample(
            key=row["path"],
            path=folder / row["path"],
            person=row["person"],
            camera=row["camera"],
            clothes=row["clothes"],
            time=float(row["time"]),
            tracklet=row["tracklet"],
            split=row["split"],  # type: ignore[arg-type]
            parsing=parsing_path(folder, "lip20", key=row["path"]),
            extra={k: v for k, v in row.items() if k not in named},
        )
        for row in rows
    )
    dataset = Dataset(f"world-{world.hash}", samples, parsing_scheme="lip20")
    write_manifest(dataset, folder / FILE)
    card = {
        "version": VERSION,
        "hash": world.hash,
        "world": world.parameters,
        "manifest_sha256": sha256(folder / FILE),
        "parsing": {"manifest": "lip20", "folders": ["lip20", "world"]},
        "licence": "CC0-1.0; bodies from MakeHuman's CC0 data",
        "statistics": statistics(rows),
    }
    write_text(folder / CARD, json.dumps(card, indent=2) + "\n")
    shutil.rmtree(folder / WORK)


def statistics(rows: list[dict[str, str]]) -> dict[str, object]:
    """Return what a world holds: counts, and the spread of what is visible."""
    visible = np.array([float(row["visible"]) for row in rows])
    heights = np.array([int(row["box"].split()[3]) for row in rows])

    def count(column: str) -> dict[str, int]:
        return dict(sorted(Counter(row[column] for row in rows).items()))

    return {
        "crops": len(rows),
        "people": len({row["person"] for row in rows}),
        "outfits": len({row["clothes"] for row in rows}),
        "cameras": len({row["camera"] for row in rows}),
        "split": count("split"),
        "visible": {f"p{q}": round(float(np.percentile(visible, q)), 3) for q in (5, 25, 50, 75, 95)},
        "height": {f"p{q}": int(np.percentile(heights, q)) for q in (5, 50, 95)},
        **{
            c: count(c) for c in ("occluder", "detector", "light", "scene", "sex", "age_group", "hair", "bottom", "bag")
        },
    }
