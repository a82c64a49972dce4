"""A head as an ellipsoid, and the paths of hair around it: out of the skull, the trunk and the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.people.anatomy import anatomy
from unveil.world.people.shaped import Shaped
from unveil.world.people.skin import body_part

CLEARANCE = 0.028  # metres that long hair lies off the trunk, over clothes


@dataclass(frozen=True)
class Head:
    """An ellipsoid that holds a skull.

    Args:
        centre: ``(3,)`` metres.
        radii: ``(3,)``.
    """

    centre: Floats
    radii: Floats

    def outward(self, points: Floats) -> Floats:
        """Return the unit directions away from the skull."""
        rel = (points - self.centre) / self.radii**2
        return np.asarray(rel / (np.linalg.norm(rel, axis=-1, keepdims=True) + 1e-9), np.float32)

    def push_out(self, points: Floats, gap: float) -> Floats:
        """Return the points, none nearer to the skull than ``gap``."""
        rel = (points - self.centre) / (self.radii + gap)
        length = np.linalg.norm(rel, axis=-1, keepdims=True)
        return np.asarray(
            np.where(length < 1, self.centre + (points - self.centre) / np.maximum(length, 1e-6), points), np.float32
        )


def skull(body: Shaped) -> Head:
    """Return the ellipsoid of a body's skull, above the ears."""
    a = anatomy()
    own = (a.head > 0.5) & (a.points[:, 1] > a.eye[1] + 0.01)
    own &= np.isin(np.arange(len(own)), body_part().rows)
    q = body.points[own]
    low, high = q.min(0), q.max(0)
    centre = np.array([0, high[1] - 0.105, (low[2] + high[2]) / 2])
    radii = np.array([(high[0] - low[0]) / 2, high[1] - centre[1], (high[2] - low[2]) / 2])
    return Head(centre.astype(np.float32), radii.astype(np.float32))


def off_face(head: Head, points: Floats, *, eyes: float, fringed: np.ndarray) -> Floats:
    """Return the points with none hanging before the face; a fringe may cover the forehead down to the ``eyes``."""
    before = (points[:, 2] > head.centre[2] + 0.045) & (points[:, 1] < eyes + (np.where(fringed, 0.012, 0.05)))
    wide = head.radii[0] + 0.004
    aside = np.sign(points[:, 0] + 1e-6) * np.maximum(np.abs(points[:, 0]), wide)
    moved = points.copy()
    narrow = before & ~fringed
    moved[narrow, 0] = aside[narrow]
    moved[narrow, 2] = np.minimum(points[narrow, 2], head.centre[2] + 0.06)
    moved[before & fringed, 1] = eyes + 0.012
    return moved


def off_trunk(body: Shaped, points: Floats) -> Floats:
    """Return the points with none inside neck, shoulders, chest or back."""
    neck = body.head("neck01")
    low = points[:, 1] < neck[1] + 0.10
    if not low.any():
        return points
    moved = points.copy()
    narrow = np.clip(points[:, 0], -0.115, 0.115)
    moved[:, 0] = np.where(low, points[:, 0] * 0.4 + narrow * 0.6, points[:, 0])
    row, column = body.trunk_cell(moved)
    front, back = body.trunk[:, row, column]
    ahead = points[:, 2] > neck[2] + 0.03
    z = np.where(ahead, np.maximum(points[:, 2], front + CLEARANCE), np.minimum(points[:, 2], back - CLEARANCE))
    moved[:, 2] = np.where(low, z, points[:, 2])
    return moved
