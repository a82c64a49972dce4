"""Mean vectors of each camera, kept beside a model of another project, whose layers are out of reach.

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

KEY = "centres"


@dataclass(frozen=True)
class CameraCentres:
    """Mean vectors of cameras.

    Args:
        cameras: labels, each once.
        means: ``(C + 1, E, D)`` float32, that of all cameras together first.
    """

    cameras: tuple[str, ...]
    means: np.ndarray

    def of(self, camera: str | None) -> np.ndarray:
        """Return the mean ``(E, D)`` of a camera; that of all where it is not known."""
        return self.means[1 + self.cameras.index(camera) if camera in self.cameras else 0]

    def save(self, path: Path) -> None:
        """Write the means; the labels stand in the card of the model."""
        from safetensors.numpy import save

        write_bytes(path, save({KEY: np.ascontiguousarray(self.means)}))

    @classmethod
    def load(cls, path: Path, cameras: tuple[str, ...]) -> CameraCentres:
        """Read the means of the cameras that a card names.

        Raises:
            CheckpointError: the file is missing or damaged, or has means of another number of cameras.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            means = load_file(path)[KEY]
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
        return cls(cameras, means)


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
