"""A video that lies as numbered images in a folder, as MOT Challenge has it (``img1/000001.jpg``)."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from unveil.data.images import MAX_PIXELS, image_size, read_image
from unveil.data.walk import walk
from unveil.errors import DataError, ImageError
from unveil.video.records import Frame
from unveil.video.sampling import FrameSampler

MIN_FRAMES = 8  # fewer numbered images are images
MIN_SHAPE = 1.2  # width over height; crops of people are upright
RATE = 25.0
FOLDER = "img1"
INFO = "seqinfo.ini"
_NUMBERED = re.compile(r"(.*?)(\d+)(\.\w+)")


def is_sequence(images: Sequence[Path]) -> bool:
    """Return whether the images of a folder, sorted, are the frames of a video.

    They are when the folder is called ``img1``, or when there are some, all of one size, wider than people are, and
    nothing in their names differs but a number that counts up evenly.
    """
    numbers = _numbers(images)
    if numbers is None:
        return False
    if images[0].parent.name == FOLDER:
        return True
    if len(images) < MIN_FRAMES or len({b - a for a, b in pairwise(numbers)}) != 1:
        return False
    try:
        sizes = {image_size(images[n]) for n in (0, len(images) // 2, -1)}
    except ImageError:
        return False
    return len(sizes) == 1 and all(width >= MIN_SHAPE * height for width, height in sizes)


class ImageSequence:
    """Frames of a folder; iterate over `frames` once. It is used as `unveil.video.decode.Video` is.

    Args:
        folder: of numbered images; ``seqinfo.ini`` in it or beside it tells the frame rate, else it is `RATE`.
        max_pixels: larger frames are refused.

    Raises:
        DataError: no image is in it, or their names are not numbers.
    """

    live = False
    reopened = 0

    def __init__(self, folder: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        self.source = str(folder)
        self.max_pixels = max_pixels
        self._images = sorted(walk(Path(folder), recursive=False).images, key=_by_number)
        if not self._images:
            raise DataError(f"{folder}: no image in it")
        self.rate = _rate(Path(folder))
        self.seconds: float | None = len(self._images) / self.rate
        self.decoded = 0
        self._bad: list[str] = []

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images, in order."""
        return tuple(self._images)

    @property
    def lost(self) -> str | None:
        """One line on what could not be read; ``None`` when everything could."""
        if not self._bad:
            return None
        return f"{self.source}: {len(self._bad)} frames cannot be read, for example {self._bad[0]}"

    def frames(self, every: int = 1, fps: float | None = None, *, first: int = 0) -> Iterator[Frame]:
        """Yield the frames in order; see `unveil.video.decode.Video.frames`.

        Raises:
            DataError: not one frame can be read.
        """
        sampler = FrameSampler(every, fps)
        for number, path in enumerate(self._images):
            time = number / self.rate
            if not sampler.takes(number, time) or number < first:
                continue
            try:
                image = read_image(path, self.max_pixels)
            except ImageError as e:
                self._bad.append(str(e))
                continue
            self.decoded += 1
            yield Frame(number, time, image)
        if self._bad and not self.decoded:
            raise DataError(f"{self.source}: not one frame can be read, for example {self._bad[0]}")

    def stop(self) -> None:
        """Do nothing: no frame is waited for."""

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def __enter__(self) -> ImageSequence:
        return self

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _numbers(images: Sequence[Path]) -> list[int] | None:
    """Return the numbers of names that differ in nothing else, ascending; ``None`` for other names."""
    found = [_NUMBERED.fullmatch(path.name) for path in images]
    matches = [match for match in found if match is not None]
    if not matches or len(matches) < len(found) or len({(m[1], m[3].lower()) for m in matches}) > 1:
        return None
    numbers = sorted(int(match[2]) for match in matches)
    return numbers if len(set(numbers)) == len(numbers) else None


def _by_number(path: Path) -> tuple[int, str]:
    match = _NUMBERED.fullmatch(path.name)
    return int(match[2]) if match else 0, path.name


def _rate(folder: Path) -> float:
    for place in (folder, folder.parent):
        info = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            info.read(place / INFO, encoding="utf-8")
            rate = info.getfloat("Sequence", "frameRate")
        except (configparser.Error, ValueError, OSError):
            continue
        if 0.1 <= rate <= 1000:
            return rate
    return RATE
