"""Mean vectors of each camera and a whitening, kept beside a model of another project, whose layers are out of reach.

A camera's light and colours move all of its vectors the same way. Without their mean, crops of two cameras are compared
by what differs between people; a crop of no known camera goes without the mean of all cameras.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unveil.atomic_io import write_bytes
from unveil.errors import CheckpointError
from unveil.records import Embedding

CENTRES, MATRIX = "centres", "matrix"


@dataclass(frozen=True)
class CameraCentres:
    """Mean vectors of cameras.

    Args:
        cameras: labels, each once.
        means: ``(C + 1, E, D)`` float32, that of all cameras together first.
        matrix: ``(E, D, D)`` float32 whitening of the vectors without their mean; ``None``: they stay as they are.
    """

    cameras: tuple[str, ...]
    means: np.ndarray
    matrix: np.ndarray | None = None

    def of(self, camera: str | None) -> np.ndarray:
        """Return the mean ``(E, D)`` of a camera; that of all where it is not known."""
        return self.means[1 + self.cameras.index(camera) if camera in self.cameras else 0]

    def apply(self, vectors: np.ndarray, camera: str | None) -> np.ndarray:
        """Return vectors ``(n, E, D)`` without the mean of their camera, whitened."""
        vectors = vectors - self.of(camera)
        return vectors if self.matrix is None else np.einsum("ned,edf->nef", vectors, self.matrix)

    def save(self, path: Path) -> None:
        """Write the numbers; the labels stand in the card of the model."""
        from safetensors.numpy import save

        found = {CENTRES: self.means} | ({} if self.matrix is None else {MATRIX: self.matrix})
        write_bytes(path, save({key: np.ascontiguousarray(numbers) for key, numbers in found.items()}))

    @classmethod
    def load(cls, path: Path, cameras: tuple[str, ...]) -> CameraCentres:
        """Read the means of the cameras that a card names.

        Raises:
            CheckpointError: the file is missing or damaged, or has means of another number of cameras.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            found = load_file(path)
            means, matrix = found[CENTRES], found.get(MATRIX)
        except (OSError, KeyError, SafetensorError) as e:
            raise CheckpointError(f"{path}: expected the mean vectors of cameras: {e}") from None
        if (
            means.ndim != 3
            or len(means) != len(cameras) + 1
            or means.dtype != np.float32
            or not np.isfinite(means).all()
        ):
            raise CheckpointError(
                f"{path}: expected ({len(cameras) + 1}, E, D) finite float32 for {len(cameras)} cameras, found "
                f"{means.shape} {means.dtype}"
            )
        size = (*means.shape[1:], means.shape[2])
        if matrix is not None and (matrix.shape != size or matrix.dtype != np.float32 or not np.isfinite(matrix).all()):
            raise CheckpointError(
                f"{path}: expected a whitening {size} of finite float32, found {matrix.shape} {matrix.dtype}"
            )
        return cls(cameras, means, matrix)


def take_centres(embedding: Embedding, cameras: Sequence[str | None], *, prior: int) -> CameraCentres:
    """Return the means of the visible vectors of each camera, and of all crops together.

    The mean of a camera is drawn towards that of all as if ``prior`` crops had shown this: a camera with five crops has
    hardly a mean of its own.

    Args:
        embedding: of N crops, as numpy arrays.
        cameras: label of each crop's camera, ``None`` where it is unknown.
        prior: crops.
    """
    labels = np.array(["" if camera is None else camera for camera in cameras])
    known = tuple(sorted({camera for camera in cameras if camera is not None}))
    shown = np.asarray(embedding.visibility)[:, :, None]

    def mean(rows: np.ndarray, drawn_to: np.ndarray, *, weight: int) -> np.ndarray:
        total = (embedding.vectors[rows] * shown[rows]).sum(axis=0) + weight * drawn_to
        return total / np.maximum(shown[rows].sum(axis=0) + weight, 1e-12)

    together = mean(np.ones(len(labels), bool), np.zeros(embedding.vectors.shape[1:], np.float32), weight=0)
    own = [mean(labels == camera, together, weight=prior) for camera in known]
    return CameraCentres(known, np.stack([together, *own]).astype(np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors over their lengths along the last axis, float32; zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)
