"""Changes rendered crops so that the parser holds on real ones: other framing, things and people before the person.

Labels and visible shares follow exactly: what is cut off or covered is taken out of the shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Random = np.random.Generator
Labels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Points = NDArray[Any]


@dataclass(frozen=True)
class Odds:
    """How often each disturbance happens, in [0, 1]."""

    mirror: float = 0.5
    turn: float = 0.3
    truncate: float = 0.2
    backdrop: float = 0.15
    person: float = 0.12
    thing: float = 0.3


@dataclass(frozen=True)
class Codes:
    """What the values of a label map mean.

    Args:
        part: part number of each label ``(256,)``, -1 for labels that are not the person.
        mirrored: label of each label in a mirrored crop ``(256,)``.
        occluded: label of a thing before the person.
        other: label of another person.
    """

    part: NDArray[np.int64]
    mirrored: Labels
    occluded: int
    other: int

    @property
    def parts(self) -> int:
        """Number of body parts."""
        return int(self.part.max()) + 1


@dataclass(frozen=True)
class Crop:
    """A crop with its truth.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        labels: ``(H, W)`` uint8.
        shares: visible share of each part, and last of the whole body, in [0, 1]; NaN where unknown.
    """

    image: Image
    labels: Labels
    shares: Floats


@dataclass(frozen=True)
class Disturber:
    """Disturbs crops of a size; the other crops lend backdrops, things and people.

    Args:
        codes: meaning of the labels.
        mirrored_parts: part number of each part in a mirrored crop.
        size: height and width of what comes out.
        odds: how often each disturbance happens.
    """

    codes: Codes
    mirrored_parts: tuple[int, ...]
    size: tuple[int, int]
    odds: Odds = field(default_factory=Odds)

    def __call__(self, crop: Crop, lender: Crop, rng: Random) -> Crop:
        """Return a disturbed crop of the size, drawn with ``rng``; ``lender`` is another crop."""
        odds = self.odds
        if rng.random() < odds.backdrop:
            crop = _swap_backdrop(crop, lender, codes=self.codes, rng=rng)
        crop = self._framed(crop, rng)
        if rng.random() < odds.person:
            crop = _paste_person(crop, lender, codes=self.codes, rng=rng)
        if rng.random() < odds.thing:
            crop = _paste_thing(crop, lender, codes=self.codes, rng=rng)
        if rng.random() < odds.mirror:
            crop = mirror(crop, self.codes, parts=self.mirrored_parts)
        return crop

    def _framed(self, crop: Crop, rng: Random) -> Crop:
        """Cut a random window, turn it a little, and bring it to the size."""
        height, width = crop.labels.shape
        sides = rng.uniform(-0.06, 0.1, 4) * np.array([height, width, height, width])  # top, left, bottom, right
        if rng.random() < self.odds.truncate:
            side = int(rng.choice(4, p=(0.12, 0.2, 0.48, 0.2)))
            sides[side] = rng.uniform(0.1, (0.3, 0.35, 0.55, 0.35)[side]) * (height if side in (0, 2) else width)
        top, left, bottom, right = sides
        angle = np.deg2rad(rng.normal(0, 6)) if rng.random() < self.odds.turn else 0.0
        zoom = np.array([self.size[1] / (width - left - right), self.size[0] / (height - top - bottom)])
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = zoom[:, None] * turn
        middle = np.array([(left + width - right) / 2, (top + height - bottom) / 2]) - 0.5
        shift = np.array([self.size[1], self.size[0]]) / 2 - 0.5 - matrix @ middle
        return move(crop, np.column_stack([matrix, shift]), size=self.size, codes=self.codes)


def move(crop: Crop, matrix: Points, *, size: tuple[int, int], codes: Codes) -> Crop:
    """Move a crop by an affine ``(2, 3)`` matrix (x, y in pixels) into a frame; what leaves it is no longer visible."""
    frame = size[::-1]
    image = cv2.warpAffine(crop.image, matrix, frame, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    labels = cv2.warpAffine(crop.labels, matrix, frame, flags=cv2.INTER_NEAREST, borderValue=0)
    part = codes.part[crop.labels]
    y, x = np.nonzero(part >= 0)
    moved = matrix[:, :2] @ np.stack([x, y]) + matrix[:, 2:]
    inside = np.all((moved > -0.5) & (moved < np.array(frame)[:, None] - 0.5), axis=0)
    numbers = part[y, x]
    return Crop(
        np.asarray(image, np.uint8),
        np.asarray(labels, np.uint8),
        _kept(crop.shares, numbers, kept=inside, parts=codes.parts),
    )


def cover(crop: Crop, image: Image, *, where: NDArray[np.bool_], label: int | None, codes: Codes) -> Crop:
    """Put ``image`` before a crop where ``where`` is true, and take what it occludes out of the shares.

    Args:
        crop: what is covered.
        image: ``(H, W, 3)`` of the crop's size.
        where: ``(H, W)``.
        label: of the covering pixels; ``None`` for a thing, which has a label only before the person.
        codes: meaning of the labels.
    """
    part = codes.part[crop.labels]
    person = part >= 0
    if label is None:
        new = np.where(person, codes.occluded, np.where(crop.labels == codes.occluded, codes.occluded, 0))
    else:
        new = np.full_like(crop.labels, label)
    labels = np.where(where, new, crop.labels).astype(np.uint8)
    shares = _kept(crop.shares, part[person], kept=~where[person], parts=codes.parts)
    return Crop(np.where(where[..., None], image, crop.image), labels, shares)


def mirror(crop: Crop, codes: Codes, *, parts: tuple[int, ...]) -> Crop:
    """Mirror a crop; left and right trade places in labels and shares."""
    labels = codes.mirrored[crop.labels[:, ::-1]]
    shares = crop.shares[[*parts, len(parts)]]
    return Crop(np.ascontiguousarray(crop.image[:, ::-1]), labels, shares)


def _kept(shares: Floats, numbers: Points, *, kept: NDArray[np.bool_], parts: int) -> Floats:
    """Scale shares by what is left of each part's pixels, and of all of them (the last share)."""
    before = np.append(np.bincount(numbers, minlength=parts), len(numbers))
    after = np.append(np.bincount(numbers[kept], minlength=parts), kept.sum())
    return (shares * np.where(before > 0, after / np.maximum(before, 1), 1)).astype(np.float32)


def _swap_backdrop(crop: Crop, lender: Crop, *, codes: Codes, rng: Random) -> Crop:
    height, width = crop.labels.shape
    patch = _backdrop(lender, rng)
    other = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
    behind = (crop.labels == 0).astype(np.float32)
    # A soft edge of about a pixel, as a camera would give.
    weight = cv2.GaussianBlur(behind, (3, 3), 0)[..., None] * behind[..., None]
    mixed = crop.image * (1 - weight) + other * weight
    return Crop(np.rint(mixed).astype(np.uint8), crop.labels, crop.shares)


def _backdrop(lender: Crop, rng: Random) -> Image:
    """Return a patch of a crop without its person: the wider free margin, else a smooth gradient."""
    columns = np.flatnonzero((lender.labels != 0).any(axis=0))
    width = lender.labels.shape[1]
    left, right = (int(columns[0]), width - 1 - int(columns[-1])) if columns.size else (width, 0)
    if max(left, right) >= 6:
        return lender.image[:, :left] if left >= right else lender.image[:, width - right :]
    return rng.integers(0, 256, (int(rng.integers(2, 6)), int(rng.integers(2, 4)), 3), dtype=np.uint8)


def _paste_person(crop: Crop, lender: Crop, *, codes: Codes, rng: Random) -> Crop:
    """Put the lender's person beside or partly before this one."""
    height, width = crop.labels.shape
    scale = height / lender.labels.shape[0] * rng.uniform(0.8, 1.3)
    side = rng.choice((-1, 1)) * rng.uniform(0.3, 0.75) * width
    middle = (lender.labels.shape[1] - 1) / 2
    shift = ((width - 1) / 2 + side - scale * middle, rng.uniform(-0.1, 0.35) * height)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    where = cv2.warpAffine(
        (codes.part[lender.labels] >= 0).astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST
    )
    image = np.asarray(cv2.warpAffine(lender.image, matrix, (width, height), flags=cv2.INTER_LINEAR), np.uint8)
    return _if_enough_is_left(crop, cover(crop, image, where=where > 0, label=codes.other, codes=codes), codes=codes)


def _paste_thing(crop: Crop, lender: Crop, *, codes: Codes, rng: Random) -> Crop:
    """Put a box, an ellipse, a bar or a polygon before the crop, in a plain colour or with a texture."""
    height, width = crop.labels.shape
    where = np.zeros((height, width), np.uint8)
    x, y = rng.uniform(0, width), rng.uniform(0.1, 1.0) * height
    w, h = rng.uniform(0.15, 0.9) * width, rng.uniform(0.08, 0.5) * height
    shape = rng.integers(5)
    if shape == 0:  # standing on the ground: furniture, a car, a wall
        cv2.rectangle(where, (int(x - w), int(height - h)), (int(x + w), height), 1, -1)
    elif shape == 1:
        cv2.ellipse(where, ((x, y), (w, h), float(rng.uniform(0, 180))), 1, -1)
    elif shape == 2:  # a pole
        cv2.line(
            where, (int(x), 0), (int(x + rng.normal(0, 6)), height), 1, max(2, int(width * rng.uniform(0.04, 0.25)))
        )
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        corners = np.stack([x + w / 2 * np.cos(angles), y + h / 2 * np.sin(angles)], 1)
        cv2.fillPoly(where, [np.rint(corners).astype(np.int32)], 1)
    if rng.random() < 0.4:
        image = np.full_like(crop.image, 0) + rng.integers(0, 256, 3, dtype=np.uint8)
    else:
        texture = cv2.resize(_backdrop(lender, rng), (width, height), interpolation=cv2.INTER_LINEAR)
        image = np.roll(np.asarray(texture, np.uint8), int(rng.integers(height)), axis=0)
    return _if_enough_is_left(crop, cover(crop, image, where=where > 0, label=None, codes=codes), codes=codes)


def _if_enough_is_left(before: Crop, after: Crop, *, codes: Codes) -> Crop:
    """Take a covering back that occludes nearly everybody: nothing could be learnt from it."""
    seen = int((codes.part[after.labels] >= 0).sum())
    return after if seen >= 0.25 * max(1, int((codes.part[before.labels] >= 0).sum())) else before
