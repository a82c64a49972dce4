"""Does an exported model say what PyTorch says? The same crops through both, the largest difference of a vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from unveil.data.fitting import CropSize
from unveil.data.images import resize
from unveil.errors import CheckpointError
from unveil.export.metadata import SpaceInfo
from unveil.recipe import InputSettings
from unveil.records import Embedding

TOLERANCE = 1e-3
CROPS = 8
SEED = 11


class Embedder(Protocol):
    """What can be compared: anything that embeds crops and says how, such as `unveil.inference.engine.Engine`."""

    @property
    def kind(self) -> str:
        """What runs the model, for messages."""

    @property
    def space_info(self) -> SpaceInfo:
        """Names, dimension, metric and weights of the vectors, and the preprocessing."""

    def embed(self, images: Sequence[np.ndarray], /) -> Embedding:
        """Return the embedding of crops ``(H, W, 3)`` uint8 RGB of any size, in order."""


@dataclass(frozen=True)
class Difference:
    """How far two embeddings of the same crops are apart.

    Args:
        vectors: largest length of a difference of two vectors, relative to the length of the first.
        visibility: largest difference of a visibility; of a rounded graph, the mean one.
    """

    vectors: float
    visibility: float

    @property
    def largest(self) -> float:
        """The larger of the two."""
        return max(self.vectors, self.visibility)

    def __str__(self) -> str:
        return f"vectors differ by at most {self.vectors:.1e} of their length, visibility by {self.visibility:.1e}"


def difference(expected: Embedding, found: Embedding, *, rounded: bool = False) -> Difference:
    """Compare two embeddings of the same crops, row by row.

    Args:
        expected: of the model.
        found: of the exported one.
        rounded: the exported one computes in few bits, so that what is just visible, or just not, may be the other.

    Raises:
        CheckpointError: they have other names, metric, weights or shapes, or numbers that are not finite.
    """
    described = [(e.names, e.metric, tuple(e.weights), e.vectors.shape) for e in (expected, found)]
    if described[0] != described[1]:
        raise CheckpointError(f"expected an embedding {described[0]}, the exported model gives {described[1]}")
    # A graph may mask what is wrong with the weights: some runtimes clamp NaN to a number.
    for whose, embedding in (("model", expected), ("exported model", found)):
        if not embedding.is_finite:
            raise CheckpointError(f"the {whose} gives numbers that are not finite")
    lengths = np.maximum(np.linalg.norm(expected.vectors, axis=2), 1e-12)
    apart = np.linalg.norm(expected.vectors - found.vectors, axis=2) / lengths
    # What is occluded on both sides is never compared, whatever its vector.
    apart[(expected.visibility <= 0) & (found.visibility <= 0)] = 0
    seen = np.abs(expected.visibility - found.visibility)
    return Difference(float(apart.max(initial=0)), float(seen.mean() if rounded and seen.size else seen.max(initial=0)))


def test_crops(size: InputSettings | CropSize, count: int = CROPS, *, seed: int = SEED) -> list[np.ndarray]:
    """Return crops ``(H, W, 3)`` uint8 of patterns from coarse to fine, at the size of a model's input."""
    rng = np.random.default_rng(seed)
    crops = []
    for _ in range(count):
        total = np.zeros((size.height, size.width, 3))
        for cells in (2, 4, 8, 16, 32):
            noise = rng.integers(0, 256, (2 * cells, cells, 3), np.uint8)
            total += resize(noise, size.height, size.width) * rng.uniform(0.1, 1)
        total -= total.min()
        crops.append(np.asarray(255 * total / total.max(), np.uint8))
    return crops


test_crops.__test__ = False  # type: ignore[attr-defined]


def check_parity(
    reference: Embedder,
    exported: Embedder,
    *,
    tolerance: float = TOLERANCE,
    crops: Sequence[np.ndarray] = (),
    rounded: bool = False,
) -> Difference:
    """Compare an exported model with PyTorch on crops of its real size, several at a time and one alone.

    Args:
        reference: runs PyTorch.
        exported: runs the exported file.
        tolerance: largest difference that is let through; see `Difference`.
        crops: ``(H, W, 3)`` uint8 RGB to compare on; drawn patterns by default.
        rounded: see `difference`.

    Raises:
        CheckpointError: they differ by more.
    """
    crops = list(crops) or test_crops(reference.space_info.crop_size)
    expected = reference.embed(crops)
    together, alone = exported.embed(crops), exported.embed(crops[:1])
    found = difference(expected, together, rounded=rounded)
    single = difference(expected.select(slice(1)), alone, rounded=rounded)
    found = max(found, single, key=lambda d: d.largest)
    if not found.largest <= tolerance:
        raise CheckpointError(
            f"{exported.kind} does not agree with PyTorch: {found}; at most {tolerance:g} is allowed. "
            "Use the model itself (engine torch)"
        )
    return found
