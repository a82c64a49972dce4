"""Embedding: named vectors of crops with their visibility."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    pass

Metric = Literal["cosine", "euclidean"]


@dataclass
class Embedding:
    """What every method returns for N crops: E named vectors with their visibility.

    The distance of two crops is the mean of the per-vector distances, weighted by
    ``weights[e] * visibility_query[e] * visibility_gallery[e]``.

    Args:
        vectors: ``(N, E, D)`` float; tensors while inside torch, numpy arrays everywhere else.
        visibility: ``(N, E)`` in [0, 1].
        names: the E names, for example ``("global", "head", "torso")``.
        metric: per-vector distance, "cosine" (1 - cos) or "euclidean".
        weights: E constants >= 0; all 1 when empty.
    """

    vectors: Any
    visibility: Any
    names: tuple[str, ...] = ("global",)
    metric: Metric = "cosine"
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.weights = tuple(self.weights) or (1.0,) * len(self.names)
        if self.vectors.ndim != 3 or self.vectors.shape[1] != len(self.names):
            raise ValueError(f"vectors: expected (N, {len(self.names)}, D), got {tuple(self.vectors.shape)}")
        if tuple(self.visibility.shape) != tuple(self.vectors.shape[:2]):
            raise ValueError(
                f"visibility: expected {tuple(self.vectors.shape[:2])}, got {tuple(self.visibility.shape)}"
            )
        if self.metric not in get_args(Metric):
            raise ValueError(f"metric: expected {' or '.join(get_args(Metric))}, got {self.metric!r}")
        if len(self.weights) != len(self.names) or min(self.weights) < 0:
            raise ValueError(f"weights: expected {len(self.names)} numbers >= 0, got {self.weights}")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def is_finite(self) -> bool:
        """Whether no number of a numpy embedding is NaN or infinite."""
        return bool(np.isfinite(self.vectors).all() and np.isfinite(self.visibility).all())

    def select(self, rows: Any) -> Embedding:
        """Return the rows picked by an index, a slice or a boolean mask."""
        return dataclasses.replace(self, vectors=self.vectors[rows], visibility=self.visibility[rows])

    def numpy(self) -> Embedding:
        """Return the same embedding as float32 numpy arrays on the CPU."""
        arrays = [
            (x if isinstance(x, np.ndarray) else x.detach().float().cpu().numpy()).astype(np.float32, copy=False)
            for x in (self.vectors, self.visibility)
        ]
        return dataclasses.replace(self, vectors=arrays[0], visibility=arrays[1])

    @staticmethod
    def concatenate(parts: list[Embedding]) -> Embedding:
        """Stack numpy embeddings of one method along N."""
        if not parts:
            raise ValueError("expected at least one embedding, got none")
        first = parts[0]
        if any((p.names, p.metric, p.weights) != (first.names, first.metric, first.weights) for p in parts):
            raise ValueError("embeddings of different methods cannot be stacked: names, metric or weights differ")
        vectors = np.concatenate([p.vectors for p in parts])
        return dataclasses.replace(first, vectors=vectors, visibility=np.concatenate([p.visibility for p in parts]))
