"""Hair as layers: a cap on the scalp, then some hundred cards of strands that grow and fall over head and shoulders."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from unveil.world.arrays import Floats
from unveil.world.labels import code
from unveil.world.people.anatomy import anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.head.ribbons import head_piece, ribbons
from unveil.world.people.head.skull import Head, off_face, off_trunk, skull
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped
from unveil.world.people.skin import body_part, scalp
from unveil.world.render.fabric import TEXTURE, clouds

SEGMENTS = 7
CARDS = {"short": 170, "crop": 190, "side": 200, "curly": 260, "afro": 300, "bob": 240, "long": 260, "pony": 200,
         "bun": 180, "braids": 180, "receding": 110}  # fmt: skip


@lru_cache(maxsize=4)
def hair_pieces(body: Shaped, *, hat: bool) -> list[Piece]:
    """Return the hair of a person; under a hat only what hangs below it."""
    hair = body.identity.hair
    if hair.style == "bald":
        return []
    rng = np.random.default_rng([11, hair.seed])
    material = Material(_strand_texture(body, rng), 1, 1, 0, 0, 0.1, 0.08, flat=True)
    pieces = [_cap(body, material, rng=rng, hat=hat)]
    if hair.style == "buzz":
        return pieces
    cards = Material(material.texture, 1, 1, 0, 0, 0.12, 0.11, flat=True, strands=0.28, repeats=1.0)
    head = skull(body)
    roots, outward = _roots(body, head, rng=rng, count=CARDS[hair.style], hat=hat)
    if len(roots):
        pieces.append(_cards(body, head, roots=roots, outward=outward, material=cards, rng=rng, hat=hat))
    if hair.style in ("pony", "braids", "bun"):
        pieces += _tails(body, head, solid=material, cards=cards, rng=rng)
    return pieces


def _strand_texture(body: Shaped, rng: np.random.Generator) -> np.ndarray:
    """Return strands: fine streaks along v, darker at the root."""
    tint = np.array(body.identity.hair.tint, np.float32)
    streaks = 1 + 0.55 * clouds(rng, TEXTURE, cells=(2, 40), octaves=3)
    root = 0.72 + 0.4 * np.linspace(0, 1, TEXTURE)[:, None]
    return np.clip(255 * tint * (streaks * root)[..., None], 4, 250).astype(np.uint8)


def _cap(body: Shaped, material: Material, *, rng: np.random.Generator, hat: bool) -> Piece:
    """Return the layer that covers the scalp."""
    hair, a, part = body.identity.hair, anatomy(), body_part()
    height = scalp(receding=hair.style == "receding")[part.rows]
    ears = load_pack().masks["ears"][part.rows] > 0.3
    noise = clouds(rng, 64, cells=(12, 16), octaves=2)
    t = a.points[part.rows]
    cell = (np.abs(t[:, 1] * 400).astype(int) % 64, ((np.arctan2(t[:, 0], t[:, 2]) / 6.2832 + 0.5) * 63).astype(int))
    keep = np.where(ears, -1.0, height + 0.010 * noise[cell])
    if hair.style == "receding":
        keep = np.where(t[:, 1] > a.crown - 0.035 - 0.05 * hair.volume / 0.022, -0.02, keep)
    shown = (keep[part.faces].max(1) >= 0) & (a.head[part.rows][part.faces].min(1) > 0.2)
    least = 0.003 if hair.style in ("buzz", "receding") or hat else 0.006 + 0.4 * hair.volume
    thick = least * ramp(height, -0.01, end=0.04)
    points = body.points[part.rows] + body.body_normals[part.rows] * (0.0015 + thick)[:, None]
    uv = np.stack([(cell[1] / 63).astype(np.float32) * 3, height, 0.25 + 0.3 * ramp(-height, -0.12, end=0)], 1)
    return body.piece(
        part,
        points.astype(np.float32),
        faces=part.faces[shown],
        labels=np.full(int(shown.sum()), code("hair", "head"), np.int32),
        material=material,
        keep=keep.astype(np.float32),
        uv=uv.astype(np.float32),
        ambient=(0.6 + 0.4 * ramp(height, 0, end=0.06)),
        normals=body.body_normals[part.rows],
    )


def _roots(body: Shaped, head: Head, *, rng: np.random.Generator, count: int, hat: bool) -> tuple[Floats, Floats]:
    """Return where cards grow ``(n, 3)``, and the directions away from the head."""
    hair, a, part = body.identity.hair, anatomy(), body_part()
    height = scalp(receding=hair.style == "receding")[part.rows]
    area = height[part.faces].min(1) > 0.001
    area &= load_pack().masks["ears"][part.rows][part.faces].max(1) < 0.3
    level = a.points[part.rows][part.faces].mean(1)[:, 1]
    if hair.style == "receding":
        area &= level < a.crown - 0.045
    if hat:
        area &= level < a.eye[1] + 0.04
    faces = part.faces[area]
    if not len(faces):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)
    corners = body.points[part.rows][faces]
    size = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(faces), count, p=size / size.sum())
    share = rng.dirichlet((1, 1, 1), count)
    roots = (corners[chosen] * share[..., None]).sum(1)
    return roots.astype(np.float32), head.outward(roots)


def _cards(
    body: Shaped, head: Head, *, roots: Floats, outward: Floats, material: Material, rng: np.random.Generator, hat: bool
) -> Piece:
    """Grow a ribbon from each root and return them all as one piece."""
    hair, n = body.identity.hair, len(roots)
    style = hair.style
    eye_height = body.points[load_pack().faces["eye_l"].ravel(), 1].mean()
    front = ramp(roots[:, 2], head.centre[2] + 0.02, end=head.centre[2] + 0.08)[:, None]
    side = np.where(roots[:, :1] > hair.parting, 1.0, -1.0)
    down, back, across = (np.array(v, np.float32) for v in ((0, -1, 0), (0, -0.15, -1), (1, 0, 0)))
    tied = style in ("pony", "bun", "braids")
    nearest = roots
    if tied:
        knot = _knots(body, head)
        nearest = knot[np.argmin(np.linalg.norm(roots[:, None] - knot[None], axis=2), 1)]
        flow = nearest - roots
    elif style in ("short", "receding"):
        flow = 0.6 * down + 0.5 * front * np.array([0, 0.2, 1]) + 0.3 * side * across
    elif style == "crop":
        flow = outward * 0.3 + np.where(
            front > 0.4, (0.2 * side * across + np.array([0, 0.35, 0.6])), 0.8 * down + 0.3 * back
        )
    elif style == "side":
        flow = side * across * 1.0 + 0.5 * back + 0.3 * down
    else:
        top = ramp(roots[:, 1], head.centre[1] + 0.02, end=head.centre[1] + 0.09)[:, None]
        flow = 0.9 * down + side * across * (0.15 + 0.9 * top) * (0.35 + 0.65 * front) + 0.5 * back * (1 - front)
    flow = np.asarray(flow)
    flow = flow - outward * (flow * outward).sum(1, keepdims=True) * 0.9
    flow /= np.linalg.norm(flow, axis=1, keepdims=True) + 1e-6
    length = hair.length * rng.uniform(0.75, 1.05, n)
    if style in ("crop", "side", "short"):  # short at the sides, long on top
        length *= 0.35 + 0.65 * ramp(roots[:, 1], eye_height + 0.02, end=eye_height + 0.09)
    fringed = (front[:, 0] > 0.5) & (np.abs(roots[:, 0] - hair.parting) < 0.075) & (hair.fringe > 0)
    if style in ("bob", "long", "curly"):
        length = np.where(fringed, hair.fringe + 0.02, length)
        flow = np.where(fringed[:, None], np.array([0, -0.55, 0.6]) + 0.15 * side * across, flow)
    lift = {"afro": 1.0, "curly": 0.75, "crop": 0.4}.get(style, 0.25) * (0.2 if hat else 1.0)
    stand = 0.004 + hair.volume * rng.uniform(0.5, 1.2, n)[:, None] * (0.3 if hat else 1.0)
    at, heading = roots + outward * 0.002, flow + outward * lift
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    line = [at]
    step = (length / SEGMENTS)[:, None]
    pull = {"afro": 0.0, "short": 0.1, "crop": 0.16, "side": 0.12, "pony": 0.0, "bun": 0.0, "braids": 0.0}.get(
        style, 0.55
    )
    whorl = rng.uniform(0, 2 * np.pi, n)
    for k in range(SEGMENTS):
        if tied:
            heading, step = nearest - at, np.linalg.norm(nearest - at, axis=1, keepdims=True) / (SEGMENTS - k)
        heading = heading + pull * down
        if hair.curl > 0.3 and not tied:
            turn = whorl + k * 2.1
            heading = heading + hair.curl * 0.7 * np.stack([np.cos(turn), 0.3 * np.sin(turn * 1.7), np.sin(turn)], 1)
        heading = heading / np.linalg.norm(heading, axis=1, keepdims=True)
        at = at + heading * step
        for_layer = float(stand.mean()) if style == "afro" else 0.004
        at = head.push_out(at, for_layer)
        near = head.outward(at)
        gap = np.linalg.norm((at - head.centre) / (head.radii + stand), axis=1, keepdims=True)
        at = np.where((gap < 1) & (k < SEGMENTS - 1), at + near * np.minimum(stand, 0.012) * 0.5, at)
        at = off_trunk(body, at)
        at = off_face(head, at, eyes=eye_height, fringed=fringed)
        line.append(at.astype(np.float32))
    width = {"afro": 0.03, "curly": 0.026, "short": 0.022, "crop": 0.022, "receding": 0.02}.get(style, 0.024)
    return ribbons(
        body, head, line=np.stack(line, 1), width=width * rng.uniform(0.7, 1.2, n), material=material, rng=rng
    )


def _knots(body: Shaped, head: Head) -> Floats:
    """Return where hair is tied ``(k, 3)``."""
    style = body.identity.hair.style
    c, r = head.centre, head.radii
    if style == "braids":
        return np.array([[s * (r[0] + 0.006), c[1] - 0.05, c[2] - 0.055] for s in (1, -1)], np.float32)
    up = 0.065 if style == "bun" and body.identity.hair.seed % 2 else 0.0
    return np.array([[0, c[1] + up, c[2] - r[2] * (0.78 if up else 1.0) - 0.012]], np.float32)


def _tails(body: Shaped, head: Head, *, solid: Material, cards: Material, rng: np.random.Generator) -> list[Piece]:
    """Return what hangs from the knots: tails, plaits, or a bun."""
    hair = body.identity.hair
    pieces = []
    for knot in _knots(body, head):
        if hair.style == "bun":
            pieces.append(
                _ball(
                    body,
                    head,
                    centre=knot + np.array([0, 0.01, -0.018]),
                    radius=0.030 + 0.6 * hair.volume,
                    material=solid,
                )
            )
            continue
        n = 36 if hair.style == "pony" else 14
        spread = 0.016 if hair.style == "pony" else 0.006
        at = knot + rng.normal(0, spread * 0.6, (n, 3))
        heading = np.array([0, -0.2, -1.0]) if hair.style == "pony" else np.array([np.sign(knot[0]) * 0.2, -1.0, -0.1])
        heading = heading + rng.normal(0, 0.16, (n, 3))
        line = [at]
        for k in range(SEGMENTS):
            heading = heading + np.array([0, -0.5, 0.05])
            heading = heading / np.linalg.norm(heading, axis=1, keepdims=True)
            at = off_trunk(body, at + heading * hair.length / SEGMENTS * rng.uniform(0.9, 1.05, (n, 1)))
            if hair.style == "braids":
                at[:, 0] += 0.006 * np.sin(2.5 * k + np.arange(n))
            line.append(at)
        stacked = np.stack(line, 1).astype(np.float32)
        pieces.append(
            ribbons(
                body,
                head,
                line=stacked,
                width=np.full(n, 0.024 if hair.style == "pony" else 0.016),
                material=cards,
                rng=rng,
            )
        )
    return pieces


def _ball(body: Shaped, head: Head, *, centre: Floats, radius: float, material: Material) -> Piece:
    rows, columns = 8, 12
    tilt, turn = np.meshgrid(
        np.linspace(0, np.pi, rows), np.linspace(0, 2 * np.pi, columns, endpoint=False), indexing="ij"
    )
    unit = np.stack([np.sin(tilt) * np.sin(turn), np.cos(tilt), np.sin(tilt) * np.cos(turn)], -1).reshape(-1, 3)
    i = (np.arange(rows - 1)[:, None] * columns + np.arange(columns)).reshape(-1, 1)
    j = (np.arange(rows - 1)[:, None] * columns + (np.arange(columns) + 1) % columns).reshape(-1, 1)
    faces = np.concatenate([np.hstack([i, j, i + columns]), np.hstack([j, j + columns, i + columns])])
    uv = np.stack([turn.ravel() / 3, turn.ravel() * 0, 0.3 + 0.3 * np.sin(tilt.ravel() * 5)], 1).astype(np.float32)
    return head_piece(
        centre + unit * radius,
        faces,
        uv=uv,
        normals=unit,
        material=material,
        ambient=np.full(len(unit), 0.9, np.float32),
        body=body,
    )
