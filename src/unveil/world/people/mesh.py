"""Pieces of a figure, and the figure that they are joined into."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unveil.world.arrays import Floats, Ints
from unveil.world.people.anatomy import CREASES
from unveil.world.people.clothes.hanging import Hanging, hanging
from unveil.world.people.skeleton import Skeleton
from unveil.world.render.kernels import vertex_normals

ALWAYS = 1.0


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface looks.

    Args:
        texture: sRGB ``(TEXTURE, TEXTURE, 3)`` uint8, or ``None`` for the vertex colours.
        turns: textures around a full turn of torso or limb.
        per_metre: textures a metre downwards.
        bump: depth of the hanging folds.
        crease: depth of the folds at a bent joint.
        wrap: how far light reaches around (soft materials), in [0, 1].
        gloss: strength of the highlight.
        flat: the surface coordinates are plain (u, -, v) instead of a turn around an axis.
        strands: threshold of the strand texture; below 0 the surface is solid.
        repeats: strand textures across the surface.
    """

    texture: NDArray[np.uint8] | None = None
    turns: float = 1.0
    per_metre: float = 1.0
    bump: float = 0.0
    crease: float = 0.0
    wrap: float = 0.2
    gloss: float = 0.0
    flat: bool = False
    strands: float = -1.0
    repeats: float = 1.0


@dataclass
class Piece:
    """A part of a figure in rest pose; n vertices, t triangles.

    Args:
        points: ``(n, 3)`` metres.
        bones: ``(n, 4)``.
        weights: ``(n, 4)``.
        faces: ``(t, 3)``.
        labels: ``(t,)`` world labels.
        material: one for the piece.
        keep: ``(n,)`` signed metres; the surface exists where it is >= 0.
        uv: ``(n, 3)`` surface coordinates.
        colour: ``(n, 3)`` linear albedo, for materials without a texture.
        ambient: ``(n,)`` share of ambient light that reaches the surface.
        crease: ``(n, len(CREASES))``.
        normals: ``(n, 3)``; computed from the faces when ``None``.
        girth: of the legs around which the piece hangs, see `hanging`; ``None`` for all other pieces.
    """

    points: Floats
    bones: Ints
    weights: Floats
    faces: Ints
    labels: Ints
    material: Material
    keep: Floats | None = None
    uv: Floats | None = None
    colour: Floats | None = None
    ambient: Floats | None = None
    crease: Floats | None = None
    normals: Floats | None = None
    girth: Floats | None = None


@dataclass
class Figure:
    """A dressed person ready to be posed; arrays as in `Piece`, joined.

    Args:
        material_of: ``(t,)`` row in ``materials``.
        materials: ``(m, 8)`` texture, turns, per_metre, bump, crease, wrap, gloss, flat.
        alpha_of: ``(m, 2)`` strand threshold and repeats.
        textures: ``(k, TEXTURE, TEXTURE, 3)`` uint8.
        skeleton: its bones.
        hung: bones by whose movement, but not turn, the extra bones J, J + 1, ... move.
        hanging: the pieces that give way to the legs, inside first.
    """

    points: Floats
    normals: Floats
    bones: Ints
    weights: Floats
    faces: Ints
    labels: Ints
    material_of: Ints
    keep: Floats
    uv: Floats
    colour: Floats
    ambient: Floats
    crease: Floats
    materials: Floats
    alpha_of: Floats
    textures: NDArray[np.uint8]
    skeleton: Skeleton
    hung: tuple[int, ...] = field(default=())
    hanging: tuple[Hanging, ...] = field(default=())

    @cached_property
    def kept(self) -> Ints:
        """Rows of the vertices that lie on the surface, not cut away."""
        return np.flatnonzero(self.keep >= 0)

    @cached_property
    def height(self) -> float:
        """Standing height in metres, shoes and hair included."""
        return float(np.ptp(self.points[:, 1]))


def join(pieces: list[Piece], skeleton: Skeleton, *, hung: tuple[int, ...]) -> Figure:
    """Return one figure; vertices that no triangle uses are dropped."""
    columns: dict[str, list[NDArray]] = {
        name: []
        for name in (
            "points",
            "normals",
            "bones",
            "weights",
            "faces",
            "labels",
            "material_of",
            "keep",
            "uv",
            "colour",
            "ambient",
            "crease",
        )
    }
    materials: list[Material] = []
    textures: list[NDArray[np.uint8]] = []
    rows, start = [], 0
    hang: list[Hanging] = []
    for piece in pieces:
        used = np.zeros(len(piece.points), bool)
        used[piece.faces.ravel()] = True
        renumber = (np.cumsum(used) - 1).astype(np.int32)
        faces = renumber[piece.faces]
        n = int(used.sum())

        def pick(values: NDArray | None, width: int, *, fill: float, used: NDArray = used, n: int = n) -> Floats:
            shape = (n, width) if width else (n,)
            return np.full(shape, fill, np.float32) if values is None else values[used].astype(np.float32)

        points = np.ascontiguousarray(pick(piece.points, 3, fill=0))
        if piece.normals is None:
            normals = np.zeros_like(points)
            vertex_normals(points, np.ascontiguousarray(faces), normals)
        else:
            normals = pick(piece.normals, 3, fill=0)
        if piece.material not in materials:
            m = piece.material
            textures += [] if m.texture is None else [m.texture]
            texture = -1 if m.texture is None else len(textures) - 1
            rows.append(
                (texture, m.turns, m.per_metre, m.bump, m.crease, m.wrap, m.gloss, m.flat, m.strands, m.repeats)
            )
            materials.append(m)
        added = {
            "points": points,
            "normals": normals,
            "bones": piece.bones[used],
            "weights": piece.weights[used],
            "faces": faces + start,
            "labels": piece.labels,
            "material_of": np.full(len(faces), materials.index(piece.material)),
            "keep": pick(piece.keep, 0, fill=ALWAYS),
            "uv": pick(piece.uv, 3, fill=0),
            "colour": pick(piece.colour, 3, fill=0.5),
            "ambient": pick(piece.ambient, 0, fill=1),
            "crease": pick(piece.crease, len(CREASES), fill=0),
        }
        for name, values in added.items():
            columns[name].append(values)
        if piece.girth is not None:
            hang.append(hanging(np.arange(start, start + n, dtype=np.int32), faces, girth=piece.girth))
        start += n
    whole = {"bones", "faces", "labels", "material_of"}
    joined = {
        name: np.ascontiguousarray(np.concatenate(values), dtype=np.int32 if name in whole else np.float32)
        for name, values in columns.items()
    }
    table = np.array(rows, np.float32)
    stack = np.stack(textures) if textures else np.zeros((1, 1, 1, 3), np.uint8)
    return Figure(
        **joined,  # type: ignore[arg-type]
        materials=np.ascontiguousarray(table[:, :8]),
        alpha_of=np.ascontiguousarray(table[:, 8:]),
        textures=stack,
        skeleton=skeleton,
        hung=hung,
        hanging=tuple(hang),
    )
