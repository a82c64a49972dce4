"""Rows of galleries for the tests of the store: vectors that cluster, images whose bytes can be looked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unveil.gallery.records import EmbeddingSpace, Item
from unveil.records import Embedding

ROWS = 60  # of the gallery that tests of searches fill
SPACE = EmbeddingSpace("0123456789abcdef", ("global", "head"), 16, "cosine", (1.0, 0.5))


def embedding(n: int, seed: int = 0, space: EmbeddingSpace = SPACE) -> Embedding:
    r = np.random.default_rng(seed)
    centres = r.normal(size=(8, len(space.names), space.dimension))
    vectors = centres[r.integers(8, size=n)] + 0.5 * r.normal(size=(n, len(space.names), space.dimension))
    visibility = r.random((n, len(space.names)))
    return Embedding(vectors.astype(np.float32), visibility.astype(np.float32), space.names, "cosine", space.weights)


def image(number: int) -> bytes:
    """Bytes that begin as a JPEG does and are like no other row's."""
    return b"\xff\xd8" + np.random.default_rng(10_000 + number).bytes(5_000)


def crops(numbers: Sequence[int], **fields) -> list[Item]:
    return [
        Item(f"key{n}", "crop", image(n), **{"camera": f"c{n % 3}", "time": 1.7e9 + 3600.0 * n, **fields})
        for n in numbers
    ]
