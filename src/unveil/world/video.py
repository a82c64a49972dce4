"""Full-frame videos of people walking through a scene, with the box and the identity of everyone in every frame."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import atomic_path, write_text
from unveil.errors import DataError, MissingExtraError
from unveil.progress import track
from unveil.world.arrays import Ints
from unveil.world.capture.casting import is_free, speed_of
from unveil.world.capture.crops import wardrobe
from unveil.world.capture.placed import Actor, PixelBox, Placed, StagedScene, place
from unveil.world.capture.plate import SUPERSAMPLE, render_plate
from unveil.world.capture.sensor import develop, worn
from unveil.world.capture.shot import shoot
from unveil.world.config import World
from unveil.world.people.figure import build_figure
from unveil.world.people.identity import Identity, draw_identity
from unveil.world.people.mesh import Figure
from unveil.world.people.pose import pose_at
from unveil.world.people.shaped import Shaped
from unveil.world.scenes.scene import FRAME, make_scene

RATE = 12  # frames per second
CAST = 6  # people of the world who walk by, unless it is told
MAX_TRIES = 40  # tries for a path that crosses the scene freely
MIN_SEEN = 40  # supersamples of a person below which no box is written
COLUMNS = ("frame", "seconds", "person", "x", "y", "width", "height", "visible")


@dataclass(frozen=True, eq=False)
class Walk:
    """One person's path through the scene: from, to, and when it begins."""

    name: str
    identity: Identity
    figure: Figure
    start: tuple[float, float]
    end: tuple[float, float]
    begin: float

    def at(self, seconds: float, still: int) -> Actor | None:
        """Return the actor at a time, ``None`` before and after the walk; ``still`` seeds their unsteadiness."""
        length = math.dist(self.start, self.end)
        pace = max(0.5, speed_of(self.identity.gait, "walk", height=self.figure.height))
        share = (seconds - self.begin) * pace / length
        if not 0 <= share <= 1:
            return None
        x, z = (a + share * (b - a) for a, b in zip(self.start, self.end, strict=True))
        facing = math.atan2(self.end[0] - self.start[0], self.end[1] - self.start[1])
        phase = (seconds - self.begin) * self.identity.gait.cadence / 2
        pose = pose_at(self.identity.gait, "walk", phase=phase, rng=np.random.default_rng(still))
        return Actor(self.figure, pose, (x, z), facing, (still * 31.0 % 256, still * 57.0 % 256))


def save_video(
    world: World, out: Path, *, camera: int = 0, seconds: float = 12.0, people: int | None = None, old: bool = False
) -> Path:
    """Write an MP4 (H.264 where PyAV has it) and, beside it, a CSV with every box.

    Args:
        world: whose people; the first of them walk by.
        out: file to write, .mp4.
        camera: number of the camera.
        seconds: length.
        people: how many walk by, one after the other over the length; six, or all of the world where it has fewer.
        old: an old camera films, dim, pale and noisy.

    Returns:
        The path of the CSV: frame, seconds, person, x, y, width, height in pixels, visible fraction.

    Raises:
        DataError: the length, the camera or the number of people is out of range.
        MissingExtraError: PyAV is not installed.
    """
    if not 0 < seconds <= 3600:
        raise DataError(f"video: seconds must be above 0 and at most 3600, got {seconds}")
    if camera >= world.cameras:
        raise DataError(f"video: camera must be below {world.cameras}, got {camera}")
    if people is not None and not 1 <= people <= world.people:
        raise DataError(f"video: people must be 1 to {world.people}, got {people}")
    if out.suffix.lower() != ".mp4":
        raise DataError(f"video: expected a file that ends in .mp4, got {out.name}")
    try:
        import av
    except ImportError:
        raise MissingExtraError("writing a video", "video") from None
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    total = round(seconds * RATE)
    frames = render_frames(world, camera, frames=total, people=people, old=old)
    with atomic_path(out) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = _stream(av, container)
        for number, (image, rows) in enumerate(track(frames, "filming", total=total)):
            writer.writerows((number, f"{number / RATE:.3f}", *row) for row in rows)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    boxes = out.with_suffix(".csv")
    write_text(boxes, table.getvalue())
    return boxes


def render_frames(
    world: World, camera: int, *, frames: int, people: int | None = None, old: bool = False
) -> Iterator[tuple[NDArray[np.uint8], list[tuple[Any, ...]]]]:
    """Yield each frame ``(H, W, 3)`` RGB with its rows (person, x, y, width, height, visible)."""
    scene = make_scene(camera, world.seed)
    scene = replace(scene, camera=replace(scene.camera, noise=scene.camera.noise * 0.5))
    if old:
        scene = replace(scene, camera=worn(scene.camera))
    stage = StagedScene(scene, render_plate(scene))
    walks = _cast(world, stage, people=people or min(CAST, world.people), seconds=frames / RATE)
    for number in range(frames):
        placed = []
        for k, walk in enumerate(walks):
            actor = walk.at(number / RATE, k)
            found = place(stage, actor) if actor else None
            if found:
                placed.append((walk.name, found))
        shot = shoot(stage, [p for _, p in placed], box=PixelBox(0, 0, *FRAME))
        # One seed a video: exposure and blur stay as they are, noise is drawn anew.
        image = develop(shot.light, scene.camera, rng=np.random.default_rng([71, world.seed, camera]))
        yield image, _rows(placed, shot.actor)


def _stream(av: Any, container: Any) -> Any:
    for codec in ("libx264", "mpeg4"):
        try:
            stream = container.add_stream(codec, rate=RATE)
            break
        except (ValueError, av.error.FFmpegError):
            continue
    stream.width, stream.height, stream.pix_fmt = *FRAME, "yuv420p"
    stream.bit_rate = 2_500_000
    return stream


def _cast(world: World, stage: StagedScene, *, people: int, seconds: float) -> list[Walk]:
    """Return the people of a video, each with a free path across the scene."""
    walks = []
    for person in range(people):
        rng = np.random.default_rng([67, world.seed, person])
        identity = draw_identity((world.seed, person))
        figure = build_figure(Shaped(identity), wardrobe(world, person, identity=identity)[0][1])
        for _ in range(MAX_TRIES):
            side = float(rng.choice((-1, 1)))
            near, far = rng.uniform(3.5, stage.scene.depth - 1, 2)
            reach = stage.scene.width + 1.0
            start, end = (side * reach, float(near)), (-side * reach, float(far))
            steps = np.linspace(0, 1, 24)
            if all(
                is_free(stage, (start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1]))) for t in steps
            ):
                break
        begin = -2.0 + person * max(1.0, seconds / people)
        walks.append(Walk(f"p{person:05d}", identity, figure, start, end, begin if person else -4.0))
    return walks


def _rows(placed: list[tuple[str, Placed]], actor: Ints) -> list[tuple[Any, ...]]:
    """Return the boxes of what is seen of each person, and the seen share of their own box's area."""
    rows = []
    for k, (name, person) in enumerate(placed):
        seen = actor == k
        if seen.sum() < MIN_SEEN:
            continue
        y, x = np.nonzero(seen)
        left, top = int(x.min()) // SUPERSAMPLE, int(y.min()) // SUPERSAMPLE
        right, bottom = int(x.max()) // SUPERSAMPLE + 1, int(y.max()) // SUPERSAMPLE + 1
        alone = max(1, person.silhouette())
        rows.append((name, left, top, right - left, bottom - top, f"{min(1.0, seen.sum() / alone):.3f}"))
    return rows
