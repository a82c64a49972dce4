"""Attributes of a crop from its pixels and its parsing maps: which share of a part is of which kind and colour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.attributes.colours import COLOURS, Lab, balanced, colour_shares
from unveil.attributes.records import Attribute, Attributes
from unveil.label_sets import ATR18, LIP20, PASCAL7

MIN_SHOWN = 0.3  # share of a part that must show for anything to be told of it
MIN_PIXELS = {"clothes": 150, "core": 60, "head": 50, "hair": 30, "arms": 60, "legs": 100}  # of 256 x 128
# Weight and bias of a logistic rule on the square root of a share of pixels; benchmarks/attributes.py --fit makes them.
RULES: dict[str, tuple[float, float]] = {
    "hair": (11.18, -4.51),
    "jacket": (4.02, -2.31),
    "sleeves": (11.05, -8.27),
    "skirt": (7.79, -1.57),
    "legs": (10.9, -3.33),
    "bag": (13.03, -1.46),
    "hat": (8.65, -1.48),
}
# What a rule tells when its number is above 0, and below.
ANSWERS = {
    "hair": ("light", "dark"),
    "jacket": ("yes", "no"),
    "sleeves": ("short", "long"),
    "skirt": ("yes", "no"),
    "legs": ("bare", "covered"),
    "bag": ("yes", "no"),
    "hat": ("yes", "no"),
}
MIN_COLOUR = 0.05  # share of a part below which a colour is a fold or an edge


@dataclass(frozen=True)
class Maps:
    """A crop and what each of its pixels shows, all of one size ``(H, W)``.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        lip20, atr18, pascal7: labels ``(H, W)`` uint8 of these label sets.
        shares: how much of each part shows, in [0, 1], by the parser's names.
    """

    image: NDArray[np.uint8]
    lip20: NDArray[np.uint8]
    atr18: NDArray[np.uint8]
    pascal7: NDArray[np.uint8]
    shares: Mapping[str, float]


def _lip(*labels: str) -> list[int]:
    return [LIP20.index(label) for label in labels]


def _parts(*labels: str) -> list[int]:
    return [PASCAL7.index(label) for label in labels]


_UPPER, _LOWER = _lip("upper-clothes", "coat", "dress"), _lip("pants", "skirt", "dress")
_ABOVE, _BELOW = _parts("torso", "upper-arms", "lower-arms"), _parts("upper-legs", "lower-legs")
_HEAD = _lip("hat", "hair", "face", "sunglasses")
_ARMS, _LEGS = _lip("left-arm", "right-arm"), _lip("left-leg", "right-leg", "socks")
_SKIRTS = _lip("skirt", "dress")


def describe(maps: Maps) -> Attributes:
    """Return the attributes of a crop; what shows too little is not told."""
    pixels = balanced(maps.image, maps.pascal7 == 0)
    seen = {name: _answer(name, found) for name, found in measures(maps, pixels).items()}
    legs = _mean(maps.shares, "leg")
    for name, clothes, parts, shown in (
        ("upper-colour", _UPPER, _ABOVE, maps.shares["torso"]),
        ("lower-colour", _LOWER, _BELOW, legs),
    ):
        inside = np.isin(maps.lip20, clothes) & np.isin(maps.pascal7, parts)
        if shown >= MIN_SHOWN and np.count_nonzero(inside) >= MIN_PIXELS["clothes"]:
            seen[name] = Attribute(_colours(pixels[_core(inside)]), shown)
    return Attributes.of(seen)


def measures(maps: Maps, pixels: Lab) -> dict[str, tuple[float, float]]:
    """Return the number that each of `RULES` goes by, and how much of its part shows; what cannot be told is absent.

    Args:
        maps: the crop.
        pixels: the crop, `balanced`.
    """
    shares, lip = maps.shares, maps.lip20
    torso, head, arms, legs = shares["torso"], shares["head"], _mean(shares, "arm"), _mean(shares, "leg")
    top = np.isin(lip, _UPPER) & np.isin(maps.pascal7, _ABOVE)
    on_head, hair = np.isin(lip, _HEAD), lip == LIP20.index("hair")
    low_arms, below = maps.pascal7 == PASCAL7.index("lower-arms"), np.isin(maps.pascal7, _BELOW)
    found = {}
    if torso >= MIN_SHOWN and np.count_nonzero(top) >= MIN_PIXELS["clothes"]:
        bag = maps.atr18 == ATR18.index("bag")  # on no part of the body
        found["bag"] = (_root(bag, bag | (maps.pascal7 > 0)), torso)
        found["jacket"] = (_root(lip == LIP20.index("coat"), top), torso)
    if head >= MIN_SHOWN and np.count_nonzero(on_head) >= MIN_PIXELS["head"]:
        found["hat"] = (_root(lip == LIP20.index("hat"), on_head), head)
        if np.count_nonzero(hair) >= MIN_PIXELS["hair"]:
            found["hair"] = (float(np.median(pixels[hair][:, 0])) / 100, head)
    if arms >= MIN_SHOWN and np.count_nonzero(low_arms) >= MIN_PIXELS["arms"]:
        found["sleeves"] = (_root(np.isin(lip, _ARMS), low_arms), arms)
    if legs >= MIN_SHOWN and np.count_nonzero(below) >= MIN_PIXELS["legs"]:
        found["legs"] = (_root(np.isin(lip, _LEGS), below), legs)
        found["skirt"] = (_root(np.isin(lip, _SKIRTS), below), legs)
    return found


def _colours(pixels: Lab) -> dict[str, float]:
    told = zip(COLOURS, colour_shares(pixels), strict=True)
    return {name: float(share) for name, share in told if share >= MIN_COLOUR}


def _core(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a region without its rim, where pixels are mixed with what is beside them; a thin one as it is."""
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return core if np.count_nonzero(core) >= MIN_PIXELS["core"] else inside


def _answer(name: str, found: tuple[float, float]) -> Attribute:
    measure, shown = found
    weight, bias = RULES[name]
    above = float(1 / (1 + np.exp(-np.clip(weight * measure + bias, -30, 30))))
    return Attribute(dict(zip(ANSWERS[name], (above, 1 - above), strict=True)), shown)


def _root(kind: NDArray[np.bool_], region: NDArray[np.bool_]) -> float:
    """Return the square root of the share of a region that is of a kind: small shares differ most."""
    return float(np.sqrt(np.count_nonzero(kind & region) / np.count_nonzero(region)))


def _mean(shares: Mapping[str, float], limb: str) -> float:
    return (shares[f"left-{limb}"] + shares[f"right-{limb}"]) / 2
