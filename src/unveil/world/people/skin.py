"""Skin, eyes and glasses: what is seen of a person between clothes and hair."""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np

from unveil.world.arrays import Floats, Ints
from unveil.world.labels import CLASSES, FIRST, PARTS, code, codes
from unveil.world.people.anatomy import anatomy, ramp
from unveil.world.people.body import load_pack
from unveil.world.people.clothes.garments import HIDDEN
from unveil.world.people.mesh import Material, Piece
from unveil.world.people.shaped import Shaped, Subset, subset
from unveil.world.render.fabric import TEXTURE, linear

BEARD_SHADE = {"none": 0.0, "stubble": 0.35, "moustache": 0.0, "goatee": 0.75, "full": 0.85, "long": 0.85}
BEARD_DEPTH = {"full": 0.010, "long": 0.016, "goatee": 0.007, "moustache": 0.005}  # metres; of the others there is none
SKIN = Material(wrap=0.28, gloss=0.06)
EYE = Material(wrap=0.2, gloss=0.2)


@cache
def body_part() -> Subset:
    """Return the skin's triangles."""
    return subset(load_pack().faces["body"])


@cache
def _labels() -> Ints:
    """Return the world label of each triangle of the bare skin."""
    a, part = anatomy(), body_part()
    neck = load_pack().weight * np.isin(load_pack().weight_bone, [load_pack().bone(f"neck0{k}") for k in (1, 2, 3)])
    kind = np.where(a.head > 0.4, CLASSES.index("face"), CLASSES.index("skin"))
    kind = np.where((a.head <= 0.4) & (neck.sum(1) > 0.3), CLASSES.index("neck"), kind)
    of_vertex = FIRST + kind * len(PARTS) + np.where(kind == CLASSES.index("skin"), a.part, PARTS.index("head"))
    # A neck bone's skin below the collar line counts as the torso's.
    of_vertex = np.where(
        (kind == CLASSES.index("skin")) & (a.part == PARTS.index("head")), code("neck", "head"), of_vertex
    )
    return np.sort(of_vertex[part.rows][part.faces], 1)[:, 1].astype(np.int32)


def skin_piece(body: Shaped, cover: Floats) -> Piece:
    """Return the skin that no garment hides; ``cover`` as in `garments.Dresser`."""
    part = body_part()
    keep = (HIDDEN - cover)[part.rows]
    shown = keep[part.faces].max(1) >= 0
    return body.piece(
        part, body.points[part.rows], faces=part.faces[shown], labels=_labels()[shown], material=SKIN,
        keep=keep.astype(np.float32), colour=skin_colour(body)[part.rows], ambient=_ambient()[part.rows],
        normals=body.body_normals[part.rows],
    )  # fmt: skip


@lru_cache(maxsize=4)
def skin_colour(body: Shaped) -> Floats:
    """Return the linear albedo ``(n, 3)`` of every vertex: tone, lips, brows, eyes, beard, blush."""
    a, pack, person = anatomy(), load_pack(), body.identity
    face, tone = person.face, linear(person.skin)
    rng = np.random.default_rng([3, *person.seed])
    colour = tone * (1 + 0.05 * (rng.random((pack.n, 1)) - 0.5))
    x, y, z = np.abs(a.points[:, 0]), a.points[:, 1] - a.eye[1], a.points[:, 2]
    front = ramp(z, 0.07, end=0.10)

    def blend(share: Floats, target: Floats) -> None:
        nonlocal colour
        share = np.clip(share, 0, 1)[:, None]
        colour = colour * (1 - share) + share * target

    blush = np.exp(-(((x - 0.045) / 0.022) ** 2 + ((y + 0.045) / 0.022) ** 2)) + 0.7 * np.exp(
        -((x / 0.014) ** 2 + ((y + 0.045) / 0.02) ** 2)
    )
    blend(face.blush * blush * front * 1.2, tone * np.array([1.05, 0.66, 0.62]))
    blend(pack.masks["lips"] * face.lips, tone * np.array([0.85, 0.42, 0.42]))
    socket = np.exp(-(((x - a.eye[0]) / 0.021) ** 2 + ((y - 0.004) / 0.014) ** 2)) * front
    blend(socket * (0.25 + face.shade), tone * 0.45)
    lids = np.exp(-(((x - a.eye[0]) / 0.017) ** 2 + ((y - 0.002) / 0.0075) ** 2)) * front
    blend(lids * 0.75, tone * 0.12 + 0.004)
    hair = linear(person.hair.tint)
    dark = hair * 0.6
    line = (
        a.eye[1] * 0
        + 0.022
        + face.brow_height
        - face.brow_angle * (x - 0.012) / 0.035
        + 0.004 * np.cos((x - 0.03) * 60)
    )
    brow = (
        np.exp(-(((y - line) / (0.0035 + face.brow_thickness)) ** 4))
        * ramp(x, 0.008, end=0.014)
        * (1 - ramp(x, 0.046, end=0.055))
        * front
    )
    blend(brow * 0.9, dark)
    blend(_beard_area(face.beard), dark * 0.8 + tone * 0.12)
    if person.hair.style in ("buzz", "receding", "short", "crop", "side", "curly", "afro"):
        blend(ramp(scalp(receding=person.hair.style == "receding"), -0.006, end=0.006) * 0.75, hair * 0.8)
    nails = pack.masks["fingernails"] * 0.5
    blend(nails, tone * np.array([1.1, 0.85, 0.85]))
    return np.clip(colour, 0.003, 1).astype(np.float32)


def scalp(*, receding: bool = False) -> Floats:
    """Return the signed height in metres above the hairline, over the template's vertices."""
    a = anatomy()
    y, z = a.points[:, 1] - a.eye[1], a.points[:, 2]
    rise = 0.90 if receding else 0.62
    line = np.where(z > 0.02, 0.008 + (z - 0.02) * rise, 0.008 + (z - 0.02) * 1.05)
    side = 0.02 * receding * np.exp(-(((np.abs(a.points[:, 0]) - 0.035) / 0.02) ** 2)) * (z > 0.05)
    return np.where(a.head > 0.2, y - line - side, -1.0).astype(np.float32)


@cache
def _beard_area(beard: str) -> Floats:
    """Return where a beard grows, in [0, 1]."""
    a = anatomy()
    x, y, z = np.abs(a.points[:, 0]), a.points[:, 1] - a.eye[1], a.points[:, 2]
    lips = load_pack().masks["lips"] > 0.3
    lip = float(y[lips].mean())
    upper = np.exp(-(((y - lip - 0.017) / 0.007) ** 2)) * (x < 0.031) * (z > 0.1)
    jaw = ramp(-y, -lip - 0.002 - 0.45 * 0, end=-lip + 0.012) * (1 - ramp(-y, -lip + 0.062, end=-lip + 0.075))
    cheeks = ramp(x, 0.028, end=0.04) * ramp(-y, 0.035, end=0.055) * (1 - ramp(-y, -lip + 0.062, end=-lip + 0.08))
    area = (np.maximum(jaw, cheeks) * (z > 0.03) + upper) * (a.head > 0.3)
    goatee = (jaw * (x < 0.026) * (z > 0.08) + upper) * (a.head > 0.3)
    found = {"none": 0 * area, "moustache": upper, "goatee": goatee}.get(beard, area)
    strength = 0.9 if beard == "moustache" else BEARD_SHADE[beard]
    return np.asarray(np.clip(found, 0, 1) * strength * ~lips, np.float32)


def beard_piece(body: Shaped) -> Piece | None:
    """Return the volume of a beard as a shell of the chin, or ``None``."""
    a, part, beard = anatomy(), body_part(), body.identity.face.beard
    if beard not in BEARD_DEPTH:
        return None
    depth = (BEARD_DEPTH[beard] * _beard_area(beard))[part.rows]
    shown = (depth[part.faces].min(1) > 0.001) & (a.head[part.rows][part.faces].min(1) > 0.3)
    points = body.points[part.rows] + body.body_normals[part.rows] * depth[:, None]
    if beard == "long":
        chin = float(a.eye[1]) - 0.105
        points[:, 1] -= 0.07 * ramp(-a.points[part.rows][:, 1], -chin - 0.02, end=-chin + 0.02) * (depth > 0.004)
    rng, tint = np.random.default_rng(5), np.array(body.identity.hair.tint)
    texture = np.clip(tint * 255 * rng.uniform(0.5, 1.1, (TEXTURE, TEXTURE, 1)), 4, 250).astype(np.uint8)
    return body.piece(
        part, points.astype(np.float32), faces=part.faces[shown], labels=codes("hair", np.zeros(int(shown.sum()), int)),
        material=Material(texture, 1, 1, 0, 0, 0.15, 0.1, flat=True),
        uv=np.stack([a.points[part.rows][:, 0] * 8, depth, np.full(len(depth), 0.3)], 1),
    )  # fmt: skip


@cache
def _ambient() -> Floats:
    """Return the light that skin under the chin and between the fingers does without."""
    a = anatomy()
    chin = 0.4 * np.exp(-(((a.points[:, 1] - a.neck - 0.10) / 0.035) ** 2)) * (a.points[:, 2] > 0.02) * (a.head < 0.6)
    return np.asarray(np.clip(1 - chin, 0.4, 1), np.float32)


def eye_pieces(body: Shaped) -> list[Piece]:
    """Return the two eyeballs."""
    pieces = []
    for group in ("eye_l", "eye_r"):
        part = subset(load_pack().faces[group])
        points = body.points[part.rows]
        centre = points.mean(0)
        rel = points - centre
        ahead = rel[:, 2] / np.abs(rel[:, 2]).max()
        white, iris = linear((0.72, 0.69, 0.66)), linear(body.identity.face.eyes) * 0.5
        colour = np.where((ahead > 0.72)[:, None], iris, white)
        pieces.append(
            body.piece(
                part, (centre + rel * 0.87 - np.array([0, 0, 0.003])).astype(np.float32), faces=part.faces,
                labels=np.full(len(part.faces), code("face", "head"), np.int32), material=EYE, colour=colour,
                ambient=np.full(len(part.rows), 0.6, np.float32),
            )
        )  # fmt: skip
    return pieces


def glasses_piece(body: Shaped) -> Piece | None:
    """Return the frame (and dark lenses) of a person's glasses, or ``None``."""
    kind = body.identity.face.glasses
    if kind == "none":
        return None
    pack = load_pack()
    eyes = [body.points[np.unique(pack.faces[g])].mean(0) for g in ("eye_l", "eye_r")]
    rim = {"thin": 0.0016, "thick": 0.0042, "sun": 0.003}[kind]
    points: list[Floats] = []
    faces: list[list[int]] = []
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rounded = (
        np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.6,
        np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.7,
    )
    nose = float(body.points[body_part().rows][:, 2].max())
    for eye in eyes:
        depth = min(eye[2] + 0.020, nose)
        start = sum(map(len, points))
        for scale in (1.0, 1 - rim / 0.012):
            points.append(
                np.stack(
                    [
                        eye[0] + rounded[0] * 0.029 * scale,
                        eye[1] - 0.003 + rounded[1] * 0.021 * scale,
                        np.full(20, depth),
                    ],
                    1,
                )
            )
        for i in range(20):
            j = (i + 1) % 20
            faces += [[start + i, start + j, start + 20 + i], [start + j, start + 20 + j, start + 20 + i]]
            if kind == "sun" and 0 < i < 19:
                faces.append([start + 20, start + 20 + i, start + 20 + j])
    left, right = eyes[0], eyes[1]
    depth = min(left[2] + 0.020, nose)
    bars = [((right[0] + 0.026, left[1] + 0.004, depth), (left[0] - 0.026, left[1] + 0.004, depth))]
    for eye, sign in ((left, 1.0), (right, -1.0)):
        hinge = (eye[0] + sign * 0.029, eye[1] + 0.004, depth)
        ear = (eye[0] + sign * 0.040, eye[1] + 0.008, eye[2] - 0.09)
        bars.append((hinge, ear))
    for a, b in bars:
        start = sum(map(len, points))
        t = np.array([[0, rim, 0], [0, -rim, 0]])
        points.append(np.concatenate([np.array(a) + t, np.array(b) + t]))
        faces += [[start, start + 1, start + 2], [start + 1, start + 3, start + 2]]
    joined = np.concatenate(points).astype(np.float32)
    n = len(joined)
    bones = np.zeros((n, 4), np.int32)
    bones[:, 0] = pack.bone("head")
    weights = np.zeros((n, 4), np.float32)
    weights[:, 0] = 1
    tint = np.full((n, 3), 0.012 if kind != "thin" else 0.08, np.float32)
    return Piece(
        joined, bones, weights, np.array(faces, np.int32), np.full(len(faces), code("glasses", "head"), np.int32),
        Material(wrap=0.2, gloss=0.5), colour=tint, normals=np.tile(np.array([0, 0.2, 0.98], np.float32), (n, 1)),
    )  # fmt: skip
