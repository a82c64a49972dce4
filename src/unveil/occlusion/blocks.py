"""One rectangle over the person, as large as the wanted ratio needs."""

from __future__ import annotations

import numpy as np

from unveil.occlusion.compose import Mask, Occlusion, nothing

MAX_ASPECT = 3.0


def hide_block(weight: Mask, ratio: float, *, rng: np.random.Generator) -> Occlusion:
    """Grow a black rectangle of drawn centre and aspect until it covers ``ratio`` of the weight.

    Args:
        weight: ``(H, W)``, sums to 1 (the person, or the whole crop).
        ratio: fraction to occlude, in [0, 1].
        rng: generator of this image.
    """
    if ratio <= 0:
        return nothing(weight.shape, "ratio 0")
    inside = np.argwhere(weight > 0)
    y, x = inside[int(rng.integers(len(inside)))] + rng.random(2)
    aspect = float(np.exp(rng.uniform(-1, 1) * np.log(MAX_ASPECT) / 2))
    low, high = 0.0, float(2 * max(weight.shape) * MAX_ASPECT)
    for _ in range(24):  # the covered weight grows with the scale, so halving finds it
        scale = (low + high) / 2
        box = _box(y, x, scale=scale, aspect=aspect, size=weight.shape)
        low, high = (scale, high) if weight[box].sum() < ratio else (low, scale)
    boxes = [_box(y, x, scale=scale, aspect=aspect, size=weight.shape) for scale in (low, high)]
    best = min(boxes, key=lambda box: abs(float(weight[box].sum()) - ratio))
    mask = np.zeros(weight.shape, np.float32)
    mask[best] = 1
    return Occlusion(mask, "block")


def _box(y: float, x: float, *, scale: float, aspect: float, size: tuple[int, ...]) -> tuple[slice, slice]:
    tall, wide = scale * aspect / 2, scale / aspect / 2
    rows = slice(max(0, round(y - tall)), max(0, min(size[0], round(y + tall))))
    return rows, slice(max(0, round(x - wide)), max(0, min(size[1], round(x + wide))))
