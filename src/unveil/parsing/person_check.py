"""Whether a person is on a crop, by what a parser makes of it: of noise and textures its maps are ragged and unsteady.

The same crop is parsed as it is, mirrored and blurred; a logistic rule over statistics of the maps, kept in the
parser's card, decides. ``python benchmarks/person_check.py --fit`` fits it anew when the parser changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from unveil.parsing.onnx_parser import OnnxParser

Image = NDArray[np.uint8]
HEAD = frozenset(("hat", "hair", "sunglasses", "face", "scarf"))
LEGS = frozenset(("socks", "pants", "skirt", "left-leg", "right-leg", "left-shoe", "right-shoe"))
FEATURES = ("area", "rough", "steady", "agree", "order", "head", "top", "legs", "body", "sees_head", "sees_torso",
            "sees_legs")  # fmt: skip
WHOLE, TORSO, LEG = "body", "torso", ("left-leg", "right-leg")
BLUR = 0.01  # of the crop's height


def person_features(images: Sequence[Image], parser: OnnxParser) -> NDArray[np.float64]:
    """Return what the rule looks at, ``(N, len(FEATURES))``.

    Args:
        images: crops ``(H, W, 3)`` uint8 RGB.
        parser: tells labels of LIP and the visible share of head, torso, legs and body.
    """
    plain = parser.parse(list(images))
    mirrored = parser.parse([np.ascontiguousarray(image[:, ::-1]) for image in images])
    sigmas = [max(0.8, BLUR * image.shape[0]) for image in images]
    soft = [cv2.GaussianBlur(image, (0, 0), sigma) for image, sigma in zip(images, sigmas, strict=True)]
    blurred = parser.parse([image.astype(np.uint8, copy=False) for image in soft])
    table = _groups(plain.scheme.labels)
    part = {name: plain.parts.index(name) for name in (WHOLE, "head", TORSO, *LEG)}
    rows = []
    for labels, turned, soft, shares in zip(
        table[plain.labels], table[mirrored.labels[:, :, ::-1]], table[blurred.labels], plain.visibility, strict=True
    ):
        rows.append(
            [
                *_map_features(labels, turned, soft),
                shares[part[WHOLE]], shares[part["head"]], shares[part[TORSO]],
                max(shares[part[name]] for name in LEG),
            ]
        )  # fmt: skip
    return np.array(rows, np.float64).reshape(len(rows), len(FEATURES))


def _groups(names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the group of each label: 0 background, 1 head, 2 trunk and arms, 3 legs."""
    return np.array([0, *(1 if name in HEAD else 3 if name in LEGS else 2 for name in names[1:])], np.uint8)


def _map_features(labels: NDArray[np.uint8], mirrored: NDArray[np.uint8], blurred: NDArray[np.uint8]) -> list[float]:
    person = labels > 0
    pixels = max(int(person.sum()), 1)
    outline = (person[1:] != person[:-1]).sum() + (person[:, 1:] != person[:, :-1]).sum()
    either = max(int((person | (mirrored > 0)).sum()), 1)
    height = np.arange(labels.shape[0])[:, None] / labels.shape[0]
    masks = [labels == group for group in (1, 2, 3)]
    shares = [float(mask.sum()) / pixels for mask in masks]
    middles = [float((height * mask).sum()) / max(int(mask.sum()), 1) for mask in masks]
    # How far the head stands above the trunk, and that above the legs.
    order = sum(middles[n + 1] - middles[n] for n in (0, 1) if shares[n] and shares[n + 1])
    return [
        float(person.mean()),
        float(outline / np.sqrt(pixels)),
        float((person & (blurred > 0)).sum() / max(int((person | (blurred > 0)).sum()), 1)),
        float(((labels == mirrored) & (person | (mirrored > 0))).sum() / either),
        float(order),
        *shares,
    ]
