"""Writing small real videos of coloured figures that walk, with the box of each in every frame."""

from __future__ import annotations

import csv
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from generated import figure
from unveil.video.records import Box

WIDTH, HEIGHT = 160, 96
SIZE = (24, 60)  # width and height of a figure


def box_at(person: int, number: int, apart: int = 30) -> tuple[int, int, int, int] | None:
    """Return x, y, width, height of a person in a frame: they walk by to the right, ``apart`` frames apart."""
    x = 2 + 4 * (number - apart * person)
    return (x, 10 + 4 * (person % 3), *SIZE) if 0 <= x <= WIDTH - SIZE[0] else None


def walk_frame(number: int, people: int, apart: int = 30) -> np.ndarray:
    """Draw a frame ``(96, 160, 3)``."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for person in range(people):
        box = box_at(person, number, apart)
        if box:
            x, y, w, h = box
            image[y : y + h, x : x + w] = figure(person, 0, 0, h, w)
    return image


class FigureDetector:
    """Finds the figures of such a video: whatever is not its grey ground.

    Args:
        pause: called before each frame, so that a test can hold the work up.
    """

    name = "figures"
    high = 0.5

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause

    def detect(self, frame: np.ndarray) -> list[Box]:
        """Return the figures, best first."""
        self._pause()
        there = (np.abs(frame.astype(int) - 120).max(2) > 24).astype(np.uint8)
        count, _, places, _ = cv2.connectedComponentsWithStats(cv2.dilate(there, np.ones((3, 3), np.uint8)))
        found = [places[n] for n in range(1, count) if places[n][cv2.CC_STAT_HEIGHT] > 30]
        return [Box(float(x), float(y), float(w), float(h), 0.9) for x, y, w, h, _ in found]


def write_film(
    path: Path,
    frames: int = 60,
    people: int = 2,
    apart: int = 30,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
) -> Path:
    """Write a video at 10 frames per second, or with a time in seconds for each frame; one key frame per second."""
    tick = Fraction(1, 10 if times is None else 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = tick
        stream.gop_size = 10
        stream.bit_rate = 2_000_000
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(walk_frame(number, people, apart), format="rgb24")
            frame.pts = number if times is None else round(1000 * times[number])
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_boxes(path: Path, frames: int = 60, people: int = 2, apart: int = 30, tracks: bool = False) -> Path:
    """Write the true boxes of such a video as CSV, with or without tracks."""
    with path.open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(("frame", "x", "y", "width", "height") + (("track",) if tracks else ()))
        for number in range(frames):
            for person in range(people):
                box = box_at(person, number, apart)
                if box:
                    writer.writerow((number, *box) + ((f"p{person}",) if tracks else ()))
    return path


@contextmanager
def breaking(film: Path, times: int, empty: int = 0) -> Iterator[str]:
    """Send a film to whoever connects and close, so many times, then close without a byte; give the address."""
    server = socket.create_server(("127.0.0.1", 0))
    data = film.read_bytes()

    def serve() -> None:
        with server:
            for turn in range(times + empty):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(data if turn < times else b"")

    threading.Thread(target=serve, daemon=True).start()
    yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
