"""Who a person is, apart from their clothes: body, face, hair, gait. Drawn from a seed, as plain numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from unveil.world.people.body import Macro
from unveil.world.people.pose import Gait
from unveil.world.render.fabric import RGB

AGE_GROUPS = ("child", "teen", "adult", "old")
HAIR_STYLES = (
    "bald",
    "receding",
    "buzz",
    "short",
    "crop",
    "side",
    "curly",
    "afro",
    "bob",
    "long",
    "pony",
    "bun",
    "braids",
)
BEARDS = ("none", "stubble", "moustache", "goatee", "full", "long")
AIDS = ("none", "cane", "walker")
SKIN_TONES: tuple[RGB, ...] = (
    (0.96, 0.82, 0.74),
    (0.91, 0.74, 0.63),
    (0.84, 0.65, 0.51),
    (0.73, 0.53, 0.39),
    (0.59, 0.41, 0.29),
    (0.43, 0.29, 0.20),
    (0.30, 0.20, 0.145),
)
HAIR_COLOURS: dict[str, RGB] = {
    "black": (0.06, 0.05, 0.05),
    "dark": (0.16, 0.11, 0.08),
    "brown": (0.30, 0.19, 0.12),
    "chestnut": (0.42, 0.24, 0.14),
    "red": (0.58, 0.25, 0.11),
    "blond": (0.72, 0.56, 0.33),
    "fair": (0.86, 0.75, 0.55),
    "grey": (0.55, 0.54, 0.53),
    "white": (0.86, 0.85, 0.83),
    "dyed": (0.45, 0.12, 0.40),
}
# Local shape targets and the spread of their weights; the ends of the range are people whom one would notice.
LOCAL_SPREAD = {
    "head-fat": 0.45, "head-scale-horiz": 0.45, "head-scale-vert": 0.5, "head-scale-depth": 0.4,
    "head-back-scale-depth": 0.4, "forehead-scale-vert": 0.5, "neck-scale-vert": 0.6, "neck-scale-horiz": 0.6,
    "nose-scale-vert": 0.6, "nose-scale-horiz": 0.7, "nose-scale-depth": 0.7, "nose-hump": 0.5, "nose-volume": 0.5,
    "chin-width": 0.6, "chin-height": 0.6, "chin-prominent": 0.6, "mouth-scale-horiz": 0.6,
    "mouth-lowerlip-height": 0.6, "cheek-bones": 0.5, "cheek-volume": 0.5, "ear-scale": 0.6, "ear-wing": 0.6,
    "eye-scale": 0.5, "torso-vshape": 0.5, "torso-scale-depth": 0.35, "torso-scale-horiz": 0.3,
    "torso-scale-vert": 0.25, "measure-shoulder-dist": 0.5, "hip-scale-horiz": 0.5, "hip-scale-depth": 0.4,
    "stomach-tone": 0.6, "buttocks-volume": 0.5, "upperlegs-height": 0.35, "lowerlegs-height": 0.35,
    "upperarm-fat": 0.35, "upperleg-fat": 0.4, "lowerleg-fat": 0.4, "upperarm-scale-vert": 0.35,
    "lowerarm-scale-vert": 0.35, "leg-valgus": 0.4, "foot-scale": 0.3, "hand-scale": 0.3,
}  # fmt: skip
# What goes with a heavy build, beyond the weight of the whole body.
HEAVY = {
    "torso-scale-depth": 0.4, "torso-scale-horiz": 0.2, "hip-scale-horiz": 0.3, "hip-scale-depth": 0.3,
    "stomach-tone": -0.4, "head-fat": 0.4, "neck-scale-horiz": 0.4, "upperarm-fat": 0.5, "upperleg-fat": 0.5,
    "lowerleg-fat": 0.4, "cheek-volume": 0.4, "neck-double": 0.5,
}  # fmt: skip
HEAD_SHAPES = ("round", "oval", "square", "rectangular", "triangular", "invertedtriangular", "diamond")


@dataclass(frozen=True)
class Face:
    """What is drawn on a face, beyond its geometry.

    Args:
        brow_thickness: metres.
        brow_height: metres that the brows are raised.
        brow_angle: metres that their outer ends are lower.
        beard: one of `BEARDS`.
        glasses: "none", "thin", "thick" or "sun".
        lips: strength of the lips' colour.
        blush: strength of the red of cheeks and nose.
        shade: strength of the shade around the eyes.
        eyes: sRGB of the iris.
    """

    brow_thickness: float
    brow_height: float
    brow_angle: float
    beard: str
    glasses: str
    lips: float
    blush: float
    shade: float
    eyes: RGB


@dataclass(frozen=True)
class Hair:
    """Hair.

    Args:
        style: one of `HAIR_STYLES`.
        colour: a key of `HAIR_COLOURS`.
        tint: sRGB.
        length: metres of the longest strands.
        volume: metres that it stands off the head.
        curl: 0 straight to 1 curly.
        parting: metres to the left of the middle.
        fringe: metres of hair over the forehead.
        seed: of the strands.
    """

    style: str
    colour: str
    tint: RGB
    length: float
    volume: float
    curl: float
    parting: float
    fringe: float
    seed: int


@dataclass(frozen=True)
class Identity:
    """A person without clothes.

    Args:
        seed: the numbers that it was drawn from.
        sex: "female" or "male": the body's shape.
        age_group: one of `AGE_GROUPS`.
        macro, local: shape, see `body.shape`.
        skin: sRGB.
        face, hair, gait: as named.
        aid: one of `AIDS`, a mobility aid.
        feminine: how often skirts and dresses are worn, in [0, 1].
    """

    seed: tuple[int, ...]
    sex: str
    age_group: str
    macro: Macro
    local: tuple[tuple[str, float], ...]
    skin: RGB
    face: Face
    hair: Hair
    gait: Gait
    aid: str
    feminine: float


def draw_identity(seed: tuple[int, ...]) -> Identity:
    """Return the person of a seed."""
    rng = np.random.default_rng([7, *seed])
    male = bool(rng.random() < 0.5)
    group = str(rng.choice(AGE_GROUPS, p=(0.08, 0.1, 0.62, 0.2)))
    low, high = {"child": (0.05, 0.22), "teen": (0.3, 0.45), "adult": (0.48, 0.75), "old": (0.8, 1.0)}[group]
    ancestry = rng.dirichlet((0.35, 0.35, 0.35))
    build = float(np.clip(rng.normal(-0.28, 0.45), -1, 1.2))  # from slight to heavy
    macro = Macro(
        sex=float(0.85 + 0.15 * rng.random() if male else 0.15 * rng.random()),
        age=rng.uniform(low, high),
        muscle=_spread(rng, 0.5 - 0.18 * build, std=0.22),
        weight=_spread(rng, 0.5 + 0.35 * build, std=0.1),
        height=_spread(rng, 0.25 if group == "child" else 0.5, std=0.11, low=0.05, high=0.72),
        proportions=_spread(rng, 0.5, std=0.3),
        ancestry=(float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
    )
    local = {name: float(np.clip(rng.normal(0, s), -1, 1)) for name, s in LOCAL_SPREAD.items()}
    for name, share in HEAVY.items():
        local[name] = float(np.clip(local.get(name, 0.0) * 0.7 + share * build, -1, 1))
    local[f"head-{rng.choice(HEAD_SHAPES)}"] = float(rng.uniform(0.2, 0.9))
    if group == "old":
        local["head-age-incr"] = float(rng.uniform(0.4, 1.0))
    if group == "adult" and build > 0 and rng.random() < (0.5 if male else 0.25):
        local["stomach-pregnant-incr"] = float(rng.uniform(0.2, 0.7))
    skin = _skin(rng, ancestry)
    beard = "none"
    if male and group in ("adult", "old"):
        beard = str(rng.choice(BEARDS, p=(0.45, 0.18, 0.08, 0.09, 0.14, 0.06)))
    face = Face(
        brow_thickness=rng.uniform(0.003, 0.0085) if male else rng.uniform(0.002, 0.006),
        brow_height=rng.uniform(-0.004, 0.006),
        brow_angle=rng.uniform(-0.005, 0.006),
        beard=beard,
        glasses=str(rng.choice(("none", "thin", "thick", "sun"), p=(0.72, 0.1, 0.12, 0.06))),
        lips=rng.uniform(0.3, 0.8) if male else rng.uniform(0.5, 1.2),
        blush=rng.uniform(0, 0.35),
        shade=rng.uniform(0.08, 0.3),
        eyes=((0.20, 0.12, 0.07), (0.30, 0.22, 0.10), (0.30, 0.42, 0.50), (0.30, 0.38, 0.25))[
            rng.choice(4, p=(0.6, 0.15, 0.15, 0.1))
        ],
    )
    return Identity(
        seed,
        "male" if male else "female",
        group,
        macro,
        tuple(sorted(local.items())),
        skin,
        face,
        _hair(rng, male=male, group=group, ancestry=ancestry),
        _gait(rng, group),
        _aid(rng, group),
        0.0 if male else float(rng.beta(1.2, 1.0)),
    )


def describe(identity: Identity) -> dict[str, str]:
    """Return the person in the words of attribute labels."""
    return {
        "sex": identity.sex,
        "age_group": identity.age_group,
        "hair": identity.hair.style,
        "hair_colour": identity.hair.colour,
        "beard": identity.face.beard,
        "glasses": identity.face.glasses,
        "aid": identity.aid,
    }


def _spread(rng: np.random.Generator, mean: float, *, std: float, low: float = 0.02, high: float = 0.98) -> float:
    return float(np.clip(rng.normal(mean, std), low, high))


def _skin(rng: np.random.Generator, ancestry: np.ndarray) -> RGB:
    tone = float(np.clip(ancestry @ np.array([5.0, 1.8, 0.8]) + rng.normal(0, 0.8), 0, len(SKIN_TONES) - 1.001))
    i = math.floor(tone)
    mixed = np.array(SKIN_TONES[i]) * (1 - tone + i) + np.array(SKIN_TONES[i + 1]) * (tone - i)
    r, g, b = mixed * (1 + rng.normal(0, (0.02, 0.025, 0.04)))
    return float(r), float(g), float(b)


def _hair(rng: np.random.Generator, *, male: bool, group: str, ancestry: np.ndarray) -> Hair:
    if group == "old" and rng.random() < 0.8:
        colour = str(rng.choice(("grey", "white")))
    else:
        share = np.array((0.34, 0.24, 0.14, 0.08, 0.04, 0.07, 0.05, 0, 0, 0.04))
        share[:2] += 1.5 * (ancestry[0] + ancestry[1])
        colour = str(rng.choice(tuple(HAIR_COLOURS), p=share / share.sum()))
    if male:
        p = [0.07, 0.09, 0.14, 0.22, 0.16, 0.13, 0.06, 0.03, 0.01, 0.04, 0.02, 0.03, 0]
        p[0] += 0.1 * (group == "old")
        p[1] += 0.25 * (group == "old")
        p[1] *= group in ("adult", "old")
        p[0] *= group in ("adult", "old")
    else:
        p = [0.005, 0, 0.015, 0.06, 0.08, 0.04, 0.11, 0.05, 0.17, 0.22, 0.12, 0.09, 0.04]
    share = np.array(p) + np.array([0, 0, 0.05, 0, 0, 0, 0.05, 0.18, 0, 0, 0, 0, 0.06]) * ancestry[0]
    style = str(rng.choice(HAIR_STYLES, p=share / share.sum()))
    length = {"bald": (0, 0), "receding": (0.01, 0.03), "buzz": (0, 0), "short": (0.025, 0.045), "crop": (0.04, 0.07),
              "side": (0.06, 0.11), "curly": (0.10, 0.24), "afro": (0.05, 0.12), "bob": (0.20, 0.27),
              "long": (0.32, 0.62), "pony": (0.25, 0.5), "bun": (0.2, 0.2), "braids": (0.3, 0.5)}[style]  # fmt: skip
    tint = np.clip(np.array(HAIR_COLOURS[colour]) * rng.uniform(0.85, 1.15), 0, 1)
    return Hair(
        style,
        colour,
        (float(tint[0]), float(tint[1]), float(tint[2])),
        rng.uniform(*length),
        rng.uniform(0.004, 0.022),
        rng.uniform(0.6, 1) if style in ("curly", "afro") else rng.uniform(0, 0.35),
        rng.choice((-1, 1)) * rng.uniform(0, 0.04),
        rng.uniform(0.03, 0.075) if rng.random() < 0.4 else 0.0,
        int(rng.integers(1 << 30)),
    )


def _gait(rng: np.random.Generator, group: str) -> Gait:
    old, child = group == "old", group == "child"
    return Gait(
        stride=rng.uniform(0.5, 0.9) if old else rng.uniform(0.75, 1.25),
        cadence=rng.normal(1.55 if old else 2.1 if child else 1.85, 0.15),
        arm_swing=rng.uniform(0.2, 1.9),
        elbow=rng.uniform(5, 38),
        arms_out=rng.uniform(4, 18),
        width=rng.uniform(1, 11),
        toes_out=rng.uniform(-4, 18),
        lean=rng.normal(2, 2.5),
        hunch=abs(rng.normal(0, 5)) + (rng.uniform(2, 9) if old else 0),
        head_up=rng.normal(0, 5),
        sway=rng.uniform(1, 10),
        knee=rng.uniform(2, 14) if old else rng.uniform(1, 7),
        limp=float(rng.uniform(0.3, 0.9)) if rng.random() < (0.2 if old else 0.05) else 0.0,
    )


def _aid(rng: np.random.Generator, group: str) -> str:
    share = (0.7, 0.2, 0.1) if group == "old" else (0.985, 0.01, 0.005)
    return str(rng.choice(AIDS, p=share))
