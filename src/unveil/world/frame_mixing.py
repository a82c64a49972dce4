"""Training images of a detector made from rendered frames: other sizes, places, backgrounds and things in front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.parsing.training.no_people import without_people
from unveil.world.arrays import Floats
from unveil.world.frames import FrameFile

SMALLEST, LARGEST = 18.0, 420.0  # pixels of the height of people, drawn evenly in its logarithm
MOSAIC_P, PASTE_P, SCENE_P, REPLACE_P, COLOUR_P, THINGS_P, PAD_P, MIRROR_P = 0.4, 0.4, 0.06, 0.15, 0.5, 0.5, 0.15, 0.5
PASTED, THINGS = 4, 6  # at most
SURE, SEEN = 0.35, 0.9  # visible share from which a person counts, and from which they are pasted elsewhere
MIN_SIZE = (4, 10)  # pixels in width and height of a person who counts
GREY = 114  # of the border where a frame does not fill the input
ZOOM = (0.3, 2.2)


@dataclass(frozen=True, eq=False)
class Mixed:
    """A training image.

    Args:
        image: ``(S, S, 3)`` RGB uint8.
        people: ``(n, 4)`` left, top, right, bottom of everybody of whom enough is seen.
        ignored: ``(m, 4)`` the same of the others.
    """

    image: NDArray[np.uint8]
    people: Floats
    ignored: Floats


class FrameMixer:
    """Makes training images of one size.

    Args:
        frames: rendered frames.
        size: height and width of an image in pixels.
        textures: how many images without people stand for walls, signs and things.
        seed: of the textures.
    """

    def __init__(self, frames: Sequence[FrameFile], size: int, *, textures: int = 240, seed: int = 0) -> None:
        self.frames, self.size = frames, size
        self.textures = [without_people(number, seed)[1] for number in range(textures)]

    def __call__(self, first: int, rng: np.random.Generator) -> Mixed:
        """Return an image that begins with a frame by number; what else comes into it is drawn."""
        canvas = _Canvas(self.size)
        if rng.random() < MOSAIC_P:
            x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * self.size)
            tiles = [(0, 0, x, y), (x, 0, self.size, y), (0, y, x, self.size), (x, y, self.size, self.size)]
        else:
            tiles = [(0, 0, self.size, self.size)]
        for k, tile in enumerate(tiles):
            number = first if k == 0 else int(rng.integers(len(self.frames)))
            self._tile(canvas, tile, frame=self.frames[number], rng=rng)
        if rng.random() < REPLACE_P:
            texture = cv2.resize(self._texture(rng), (self.size, self.size), interpolation=cv2.INTER_AREA)
            share = 1.0 if rng.random() < 0.4 else float(rng.uniform(0.3, 0.8))
            canvas.behind(texture, share)
        if rng.random() < THINGS_P:
            for _ in range(int(rng.integers(1, THINGS + 1))):
                self._thing(canvas, rng)
        if rng.random() < PASTE_P:
            donor = self.frames[int(rng.integers(len(self.frames)))]
            self._paste(canvas, donor, rng=rng)
        if rng.random() < PAD_P:
            canvas.pad(rng)
        return canvas.done(mirror=bool(rng.random() < MIRROR_P))

    def _texture(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        return self.textures[int(rng.integers(len(self.textures)))]

    def _tile(
        self, canvas: _Canvas, tile: tuple[int, int, int, int], *, frame: FrameFile, rng: np.random.Generator
    ) -> None:
        """Put a window of a frame into a rectangle; a drawn person has a drawn height in it."""
        left, top, right, bottom = tile
        across, down = right - left, bottom - top
        image, owner = frame.image(), frame.owner()
        height, width = owner.shape
        middle = rng.uniform(0, 1, 2) * (width, height)
        zoom = math.exp(rng.uniform(math.log(0.3), math.log(1.2)))
        tall = np.flatnonzero(frame.visible > SURE)
        if len(tall):
            box = frame.boxes[int(rng.choice(tall))]
            wanted = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))
            zoom = wanted / float(box[3] - box[1])
            middle = (box[:2] + box[2:]) / 2 + rng.uniform(-0.6, 0.6, 2) * (across / zoom, down / zoom)
        stretch = math.exp(rng.normal(0, 0.05))
        zoom = float(np.clip(zoom, max(ZOOM[0], across / width * stretch, down / height * stretch), ZOOM[1]))
        wide, high = across / (zoom / stretch), down / (zoom * stretch)
        wide, high = min(wide, width), min(high, height)
        x = float(np.clip(middle[0] - wide / 2, 0, width - wide))
        y = float(np.clip(middle[1] - high / 2, 0, height - high))
        where = np.array([[across / wide, 0, -x * across / wide], [0, down / high, -y * down / high]])
        if zoom < 0.6:  # each pixel of the small image sees several of the large one
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 / zoom), np.uint8)
        small = np.asarray(cv2.warpAffine(image, where, (across, down), borderMode=cv2.BORDER_REFLECT))
        if rng.random() < SCENE_P:
            small = small[:, :, ::-1]
        owners = cv2.warpAffine(owner, where, (across, down), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
        if rng.random() < COLOUR_P:
            small = _recoloured(small, np.asarray(owners) == 0, rng=rng)
        area = across / wide * (down / high)
        canvas.put(small, np.asarray(owners), corner=(left, top), wholes=_wholes(frame, owner, area=area))

    def _thing(self, canvas: _Canvas, rng: np.random.Generator) -> None:
        """Draw something that is nobody: a post, a sign, a board, a bag; some of it in front of people."""
        tall = math.exp(rng.uniform(math.log(10), math.log(self.size * 0.9)))
        wide = max(2.0, tall * math.exp(rng.uniform(math.log(0.03), math.log(1.2))))
        shape = max(2, int(wide)), max(2, int(tall))
        kind = rng.random()
        if kind < 0.5:
            paint = cv2.resize(self._texture(rng), shape, interpolation=cv2.INTER_AREA)
        else:
            paint = np.full((shape[1], shape[0], 3), rng.uniform(0, 255, 3), np.float32)
            paint = np.clip(paint + np.linspace(-30, 30, shape[0])[None, :, None] * rng.normal(), 0, 255)
        alpha = np.ones(shape[::-1], np.float32)
        if kind % 0.25 < 0.08:
            alpha[:] = 0
            cv2.ellipse(alpha, (shape[0] // 2, shape[1] // 2), (shape[0] // 2, shape[1] // 2), 0, 0, 360, 1.0, -1)
        corner = rng.uniform(-0.2, 1.0, 2) * self.size
        canvas.cover(
            np.asarray(paint, np.float32),
            alpha,
            corner=(int(corner[0]), int(corner[1])),
            front=bool(rng.random() < 0.4),
        )

    def _paste(self, canvas: _Canvas, donor: FrameFile, *, rng: np.random.Generator) -> None:
        """Put people of another frame into the image, at drawn sizes and places."""
        able = np.flatnonzero(donor.visible > SEEN)
        if not len(able):
            return
        image, owner = donor.image(), donor.owner()
        near: tuple[float, float] | None = None
        for _ in range(int(rng.integers(1, PASTED + 1))):
            k = int(rng.choice(able))
            left, top, right, bottom = (int(v) for v in donor.boxes[k])
            left, top = max(0, left - 1), max(0, top - 1)
            cut, mask = image[top : bottom + 1, left : right + 1], owner[top : bottom + 1, left : right + 1]
            mask = (mask == donor.people[k]).astype(np.float32)
            tall = math.exp(rng.uniform(math.log(SMALLEST), math.log(self.size * 0.9)))
            zoom = min(tall / mask.shape[0], 1.6)
            shape = max(3, round(mask.shape[1] * zoom)), max(6, round(mask.shape[0] * zoom))
            cut = np.asarray(cv2.resize(cut, shape, interpolation=cv2.INTER_AREA), np.float32)
            mask = np.asarray(cv2.resize(mask, shape, interpolation=cv2.INTER_AREA))
            if rng.random() < 0.5:
                cut, mask = cut[:, ::-1], mask[:, ::-1]
            cut = np.clip(cut * rng.uniform(0.5, 1.4), 0, 255)
            at = (rng.uniform(-0.1, 1.0) * self.size, rng.uniform(-0.1, 1.0) * self.size)
            if near is not None and rng.random() < 0.4:
                at = (near[0] + rng.normal(0, 1.2) * shape[0], near[1] + rng.normal(0, 0.15) * shape[1])
            near = at
            canvas.add(cut, mask, corner=(int(at[0]), int(at[1])))


class _Canvas:
    """An image in the making, with the owner of each pixel and the whole area of every person."""

    def __init__(self, size: int) -> None:
        self.image = np.zeros((size, size, 3), np.float32)
        self.owner = np.zeros((size, size), np.int32)
        self.whole: list[float] = [0.0]

    def put(self, image: np.ndarray, owner: np.ndarray, *, corner: tuple[int, int], wholes: dict[int, float]) -> None:
        """Fill a rectangle; its people get new numbers."""
        x, y = corner
        here = slice(y, y + image.shape[0]), slice(x, x + image.shape[1])
        self.image[here] = image
        numbers = np.zeros(256, np.int32)
        for number, area in wholes.items():
            numbers[number] = len(self.whole)
            self.whole.append(area)
        self.owner[here] = numbers[owner]

    def behind(self, texture: np.ndarray, share: float) -> None:
        """Let a texture show where nobody is."""
        alpha = cv2.blur((self.owner == 0).astype(np.float32), (3, 3))[..., None] * share
        self.image = self.image * (1 - alpha) + texture * alpha

    def cover(self, paint: np.ndarray, alpha: np.ndarray, *, corner: tuple[int, int], front: bool) -> None:
        """Draw something that is nobody, before people or behind them."""
        found = self._cut(paint, alpha, corner=corner)
        if found is None:
            return
        here, paint, alpha = found
        if not front:
            alpha = alpha * (self.owner[here] == 0)
        self.image[here] = self.image[here] * (1 - alpha[..., None]) + paint * alpha[..., None]
        self.owner[here] = np.where(alpha > 0.5, 0, self.owner[here])

    def add(self, paint: np.ndarray, alpha: np.ndarray, *, corner: tuple[int, int]) -> None:
        """Draw a person before everything else."""
        found = self._cut(paint, alpha, corner=corner)
        if found is None:
            return
        whole = float((alpha > 0.5).sum())
        here, paint, alpha = found
        self.image[here] = self.image[here] * (1 - alpha[..., None]) + paint * alpha[..., None]
        self.owner[here] = np.where(alpha > 0.5, len(self.whole), self.owner[here])
        self.whole.append(whole)

    def pad(self, rng: np.random.Generator) -> None:
        """Make a strip at one side, or at two, the border of a frame of another shape."""
        size = len(self.owner)
        strip = int(rng.uniform(0.05, 0.3) * size)
        wide = rng.random() < 0.3
        for side in (
            (slice(0, strip), slice(size - strip, size)) if rng.random() < 0.7 else (slice(size - strip, size),)
        ):
            where: Any = (slice(None), side) if wide else side
            self.image[where] = GREY
            self.owner[where] = 0

    def done(self, *, mirror: bool) -> Mixed:
        """Return the image with the boxes of what is left of everybody."""
        if mirror:
            self.image, self.owner = self.image[:, ::-1], self.owner[:, ::-1]
        people: list[list[int]] = []
        ignored: list[list[int]] = []
        for number in np.unique(self.owner):
            if number == 0:
                continue
            seen = self.owner == number
            rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
            box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            large = box[2] - box[0] >= MIN_SIZE[0] and box[3] - box[1] >= MIN_SIZE[1]
            sure = seen.sum() >= SURE * self.whole[int(number)] or box[3] - box[1] > 0.5 * len(seen)
            (people if sure and large else ignored).append(box)
        shaped = (np.array(boxes, np.float32).reshape(-1, 4) for boxes in (people, ignored))
        return Mixed(np.clip(self.image, 0, 255).astype(np.uint8), *shaped)

    def _cut(
        self, paint: np.ndarray, alpha: np.ndarray, *, corner: tuple[int, int]
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray] | None:
        """Return where a patch lies in the image and the part of it that does."""
        x, y = corner
        size, (tall, wide) = len(self.owner), alpha.shape
        left, top, right, bottom = max(0, x), max(0, y), min(size, x + wide), min(size, y + tall)
        if right <= left or bottom <= top:
            return None
        inside = slice(top - y, bottom - y), slice(left - x, right - x)
        return (slice(top, bottom), slice(left, right)), paint[inside], alpha[inside]


def _wholes(frame: FrameFile, owner: NDArray[np.uint8], *, area: float) -> dict[int, float]:
    """Return the pixels that each person of a frame would cover in the image if nothing hid them."""
    counts = np.bincount(owner.ravel(), minlength=256)
    known = {int(n): float(counts[n] / max(v, 0.02) * area) for n, v in zip(frame.people, frame.visible, strict=True)}
    return {int(n): known.get(int(n), math.inf) for n in np.flatnonzero(counts) if n}


def _recoloured(image: np.ndarray, scene: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Give the scene, not its people, another colour, contrast and brightness."""
    gain = np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.07, 3))
    middle = image.mean()
    other = (image - middle) * math.exp(rng.normal(0, 0.3)) + middle
    other = np.clip(other * gain, 0, 255)
    share = cv2.blur(scene.astype(np.float32), (3, 3))[..., None]
    return np.asarray(image * (1 - share) + other * share)
