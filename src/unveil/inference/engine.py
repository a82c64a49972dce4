"""One way to embed images, whatever runs the model: PyTorch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from unveil.data.images import resize
from unveil.errors import DataError
from unveil.export.metadata import ModelMetadata, SpaceInfo
from unveil.records import Embedding

Kind = Literal["torch", "onnx", "openvino"]
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
BATCH = 32


class Engine:
    """A model that is ready to embed; safe to use from several threads.

    Args:
        kind: what runs it.
        metadata: card and embedding space of the model.
        run: takes ``(n, H, W, 3)`` uint8 and returns vectors ``(n, E, D)`` and visibility ``(n, E)`` float32.
        batch: crops at a time.
    """

    def __init__(self, kind: Kind, metadata: ModelMetadata, run: Run, batch: int = BATCH) -> None:
        self.kind = kind
        self.metadata = metadata
        self.batch = batch
        self._run = run
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model: the same whatever runs it."""
        return self.metadata.card.fingerprint

    @property
    def space_info(self) -> SpaceInfo:
        """Names, dimension, metric and weights of the vectors, and the preprocessing."""
        return self.metadata.space

    def embed(self, images: Sequence[np.ndarray]) -> Embedding:
        """Return the numpy embedding of crops ``(H, W, 3)`` uint8 RGB of any size, in order.

        Raises:
            ValueError: something is no picture.
            DataError: the model answers with numbers that are not finite.
        """
        for number, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError(f"image {number}: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
        info, size = self.space_info, self.space_info.input
        shape = (len(images), len(info.names))
        vectors = np.empty((*shape, info.dimension), np.float32)
        visibility = np.empty(shape, np.float32)
        for start in range(0, len(images), self.batch):
            some = images[start : start + self.batch]
            crops = np.stack([resize(i, size["height"], size["width"], size["interpolation"]) for i in some])
            with self._lock:
                answer = self._run(crops)
            vectors[start : start + len(some)], visibility[start : start + len(some)] = answer
        found = Embedding(vectors, visibility, info.names, info.metric, info.weights)
        if not found.is_finite:
            raise DataError("the model answers with NaN or infinity: its training diverged, or its weights are damaged")
        return found
