"""A body of one identity in rest pose, with what clothes and hair need to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.people.anatomy import anatomy
from unveil.world.people.body import load_pack, shape
from unveil.world.people.identity import Identity
from unveil.world.people.mesh import Piece
from unveil.world.people.skeleton import Skeleton, skeleton_of
from unveil.world.render.kernels import vertex_normals

TRUNK_ROWS, TRUNK_COLUMNS, TRUNK_WIDTH = 20, 14, 0.42  # the last in metres


@dataclass(frozen=True)
class Subset:
    """A group of the pack's faces with its own numbering.

    Args:
        rows: pack vertices ``(m,)``.
        faces: ``(t, 3)`` into ``rows``.
    """

    rows: Ints
    faces: Ints


def subset(faces: Ints) -> Subset:
    """Return the vertices that some faces use, and the faces renumbered to them."""
    rows, renumbered = np.unique(faces, return_inverse=True)
    return Subset(rows.astype(np.int32), np.ascontiguousarray(renumbered.reshape(faces.shape), dtype=np.int32))


class Shaped:
    """The rest shape of an identity.

    Args:
        identity: whose body.
    """

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        pack = load_pack()
        whole = shape(identity.macro, dict(identity.local))
        self.points: Floats = np.ascontiguousarray(whole[: pack.n])
        self.heads: Floats = whole[pack.n :]

    def head(self, bone: str) -> Floats:
        """Return the rest position of a bone's head ``(3,)``."""
        return self.heads[load_pack().bone(bone)]

    @cached_property
    def skeleton(self) -> Skeleton:
        """The bones."""
        return skeleton_of(self.heads)

    @cached_property
    def body_normals(self) -> Floats:
        """Unit normals of the skin, a row for every vertex of the pack."""
        return self._normals("body")

    @cached_property
    def tights_normals(self) -> Floats:
        """Unit normals of the clothing helper, a row for every vertex of the pack."""
        return self._normals("tights")

    @cached_property
    def skirt_normals(self) -> Floats:
        """Unit normals of the skirt helper, a row for every vertex of the pack."""
        return self._normals("skirt")

    @cached_property
    def floor(self) -> float:
        """Height of the soles."""
        return float(self.points[load_pack().faces["body"].ravel(), 1].min())

    @cached_property
    def trunk(self) -> Floats:
        """Front and back ``(2, TRUNK_ROWS, TRUNK_COLUMNS)`` of neck and trunk, in z, over height and sideways."""
        a = anatomy()
        own = (a.arm < 0.6) & (a.along_leg < 0)
        own[np.setdiff1d(np.arange(len(own)), load_pack().faces["body"].ravel())] = False
        row, column = self.trunk_cell(self.points[own])
        grid = np.stack([np.full((TRUNK_ROWS, TRUNK_COLUMNS), -1.0), np.full((TRUNK_ROWS, TRUNK_COLUMNS), 1.0)])
        np.maximum.at(grid[0], (row, column), self.points[own, 2])
        np.minimum.at(grid[1], (row, column), self.points[own, 2])
        middle = float(self.head("neck01")[2])
        grid[np.abs(grid) == 1.0] = middle
        return np.asarray(grid, np.float32)

    def trunk_cell(self, points: Floats) -> tuple[Ints, Ints]:
        """Return row and column of points in `trunk`."""
        top, low = self.head("head")[1] + 0.02, self.head("upperleg01.L")[1]
        row = (top - points[:, 1]) / (top - low) * TRUNK_ROWS
        column = (points[:, 0] / TRUNK_WIDTH + 0.5) * TRUNK_COLUMNS
        return (
            np.clip(row, 0, TRUNK_ROWS - 1).astype(np.int32),
            np.clip(column, 0, TRUNK_COLUMNS - 1).astype(np.int32),
        )

    def _normals(self, group: str) -> Floats:
        normals = np.zeros_like(self.points)
        vertex_normals(self.points, load_pack().faces[group], normals)
        return normals

    def piece(self, part: Subset, points: Floats, *, faces: Ints, **rest: object) -> Piece:
        """Return a piece whose vertices move as the pack's vertices of a subset do."""
        pack = load_pack()
        return Piece(
            points=points,
            bones=pack.weight_bone[part.rows],
            weights=pack.weight[part.rows],
            faces=faces,
            **rest,  # type: ignore[arg-type]
        )
