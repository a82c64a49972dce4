"""A simulated person detector: boxes that are loose, shifted or truncated at a stated rate, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from unveil.world import labels
from unveil.world.arrays import Floats, Ints
from unveil.world.capture.placed import PixelBox
from unveil.world.capture.plate import SUPERSAMPLE
from unveil.world.capture.shot import Shot

LOOSE, SHIFTED, TRUNCATED = 0.15, 0.12, 0.08  # rates of the three faults
JITTER = 0.015  # of the size, on every side
MIN_OF_A_PART = 8  # supersamples below which nothing is said of a part
_PART_OF = labels.part_of(np.arange(labels.FIRST, 256))
MIN_ASPECT, MAX_ASPECT = 0.26, 0.75  # width over height


@dataclass(frozen=True)
class Detection:
    """A box and what it holds of the person.

    Args:
        box: within the frame.
        fault: "none", "loose", "shifted" or "truncated".
        visible: seen area over amodal area, in [0, 1]; what lies outside the box or the frame is not seen.
        parts: the same for each part of the body that the pose shows at all.
    """

    box: PixelBox
    fault: str
    visible: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)

    def measured(self, shot: Shot, whole: PixelBox, *, rng: np.random.Generator) -> Detection | None:
        """Return the detection with its visible fractions; ``None`` when nothing of the person is in view.

        A detector sees what is visible: when the lower part is occluded, half of the boxes end where the person does.
        """
        own = shot.whole > 0
        seen = own & (shot.actor == 0)
        if not seen.any():
            return None
        box = self.box
        rows = np.flatnonzero(seen.any(1)) // SUPERSAMPLE + shot.box.y
        ends = int(rows[-1]) + 3
        if ends < box.y + 0.8 * box.height and rng.random() < 0.5:
            box = replace(box, height=max(16, ends - box.y))
        y, x = (box.y - shot.box.y) * SUPERSAMPLE, (box.x - shot.box.x) * SUPERSAMPLE
        inside = np.zeros_like(seen)
        inside[y : y + box.height * SUPERSAMPLE, x : x + box.width * SUPERSAMPLE] = True
        seen &= inside
        area = max(1, int(own.sum()) + _outside(whole, own, shot=shot))
        whole_of, seen_of = (_areas(shot.whole[where]) for where in (own, seen))
        parts = {
            name: float(mine / whole)
            for name, mine, whole in zip(labels.PARTS, seen_of, whole_of, strict=True)
            if whole >= MIN_OF_A_PART
        }
        return Detection(box, self.fault, float(seen.sum() / area), parts)


def _areas(of: Ints) -> Floats:
    """Return the supersamples of each part of the body, for world labels of the person."""
    return np.bincount(_PART_OF, np.bincount(of, minlength=256)[labels.FIRST :], len(labels.PARTS)).astype(np.float64)


def _outside(whole: PixelBox, own: np.ndarray, *, shot: Shot) -> int:
    """Return roughly the supersamples of the person that lie outside the frame, by the share of the box there."""
    inside = whole.clipped()
    share = max(1, inside.width) * max(1, inside.height) / (whole.width * whole.height)
    return int(own.sum() * (1 / max(share, 0.2) - 1)) if share < 1 else 0


def detect(whole: PixelBox, rng: np.random.Generator) -> Detection:
    """Return a detector's box, clipped to the frame, for a person's true box."""
    w, h = whole.width, whole.height
    left, right, top, bottom = (rng.normal(0.02, JITTER, 4)) * np.array([w, w, h, h])
    fault = str(
        rng.choice(
            ("none", "loose", "shifted", "truncated"), p=(1 - LOOSE - SHIFTED - TRUNCATED, LOOSE, SHIFTED, TRUNCATED)
        )
    )
    if fault == "loose":
        left, right, top, bottom = np.array([left, right, top, bottom]) + rng.uniform(0.05, 0.25, 4) * np.array(
            [w, w, h * 0.6, h * 0.6]
        )
    elif fault == "shifted":
        dx, dy = rng.uniform(-0.2, 0.2) * w, rng.uniform(-0.08, 0.08) * h
        left, right, top, bottom = left - dx, right + dx, top - dy, bottom + dy
    elif fault == "truncated":
        if rng.random() < 0.7:
            bottom -= rng.uniform(0.15, 0.42) * h
        else:
            side = rng.uniform(0.15, 0.35) * w
            left, right = (left - side, right) if rng.random() < 0.5 else (left, right - side)
    x0, x1, y0, y1 = whole.x - left, whole.x + w + right, whole.y - top, whole.y + h + bottom
    tall = y1 - y0
    wide = np.clip(x1 - x0, MIN_ASPECT * tall, MAX_ASPECT * tall)
    middle = (x0 + x1) / 2
    box = PixelBox(round(middle - wide / 2), round(y0), max(8, round(wide)), max(16, round(tall)))
    return Detection(box.clipped(), fault)
