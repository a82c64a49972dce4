"""How many crops per second a model embeds on this machine, measured when asked."""

from __future__ import annotations

import time

import numpy as np

from unveil.export.parity import test_crops
from unveil.inference.engine import Engine

CROPS, ROUNDS = 64, 3


def crops_per_second(engine: Engine) -> float:
    """Return the best of `ROUNDS` runs over `CROPS` crops in memory, after one that is not counted.

    The crops have the size of the model's input: decoding and resizing are not in it. What else the machine does at
    that moment is.
    """
    crops = np.stack(test_crops(engine.crop_size, CROPS))
    size = engine.batch
    seconds = np.inf
    for counted in (False, *[True] * ROUNDS):
        start = time.perf_counter()
        for first in range(0, CROPS, size):
            engine.embed_crops(crops[first : first + size])
        seconds = min(seconds, time.perf_counter() - start) if counted else seconds
    return CROPS / seconds
