"""Ribbons of strands: the cards of which hair is made, and the pieces that move with the head."""

from __future__ import annotations

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.labels import code
from unveil.world.people.anatomy import ramp
from unveil.world.people.body import load_pack
from unveil.world.people.head.skull import Head
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped


def head_piece(
    points: Floats, faces: np.ndarray, *, uv: Floats, normals: Floats, material: Material, ambient: Floats, body: Shaped
) -> Piece:
    """Return a piece that moves with the head, and below the chin with the upper back."""
    pack = load_pack()
    n = len(points)
    bones = np.zeros((n, 4), np.int32)
    bones[:, 0], bones[:, 1] = pack.bone("head"), pack.bone("spine01")
    low = body.head("neck01")[1]
    weights = np.zeros((n, 4), np.float32)
    weights[:, 1] = 0.85 * (1 - ramp(points[:, 1], low - 0.06, end=low + 0.10))
    weights[:, 0] = 1 - weights[:, 1]
    labels = np.full(len(faces), code("hair", "head"), np.int32)
    return Piece(points.astype(np.float32), bones, weights, faces.astype(np.int32), labels, material, uv=uv,
                 ambient=ambient, normals=normals.astype(np.float32))  # fmt: skip


def ribbons(
    body: Shaped, head: Head, *, line: Floats, width: Floats, material: Material, rng: np.random.Generator
) -> Piece:
    """Return cards ``(n, k, 3)`` as one piece; their normals are those of the head, so that light is smooth."""
    n, k, _ = line.shape
    along = np.gradient(line, axis=1)
    out = head.outward(line)
    below = ramp(-line[..., 1], -head.centre[1], end=-head.centre[1] + 0.15)[..., None]
    rel = line - body.head("neck01")
    rel[..., 1] = 0
    out = out * (1 - below) + below * rel / (np.linalg.norm(rel, axis=-1, keepdims=True) + 1e-6)
    across = np.cross(along, out)
    across /= np.linalg.norm(across, axis=-1, keepdims=True) + 1e-9
    taper = np.interp(np.linspace(0, 1, k), (0, 0.3, 0.8, 1), (0.7, 1, 0.9, 0.5))
    half = across * (width[:, None] * taper / 2)[..., None]
    points = np.stack([line - half, line + half], 2).reshape(-1, 3)
    curved = np.stack([out - 0.5 * across, out + 0.5 * across], 2).reshape(-1, 3)
    normals = curved / (np.linalg.norm(curved, axis=1, keepdims=True) + 1e-9)
    start = np.asarray(rng.random(n))
    u = np.stack([np.repeat(start[:, None], k, 1), np.repeat(start[:, None] + 0.14, k, 1)], 2).reshape(-1)
    v = np.repeat(np.tile(np.linspace(0, 1, k), (n, 1))[..., None], 2, 2).reshape(-1)
    base = (np.arange(n)[:, None] * 2 * k + np.arange(k - 1) * 2).reshape(-1, 1)
    faces = np.concatenate([base + np.array([0, 1, 2]), base + np.array([1, 3, 2])])
    ambient = 0.62 + 0.38 * v
    uv = np.stack([u, np.zeros_like(u), v], 1).astype(np.float32)
    return head_piece(
        points, faces, uv=uv, normals=normals, material=material, ambient=ambient.astype(np.float32), body=body
    )
