"""What evaluation, embedding and robustness ask of a model, whoever made it and whatever runs it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from unveil.data.fitting import CropSize
from unveil.models.summary import ModelSummary
from unveil.records import Embedding


class Embedder(Protocol):
    """A model that embeds crops: `unveil.models.checkpoint.TrainedModel`, `unveil.inference.engine.Engine`."""

    @property
    def summary(self) -> ModelSummary:
        """What people are told of it."""

    @property
    def crop_size(self) -> CropSize:
        """Size of the crops that it takes, and how images are brought to it."""

    @property
    def batch(self) -> int:
        """How many crops it likes at a time."""

    @property
    def test_parsing(self) -> str | None:
        """Label set of the parsing maps that it looks at beside crops; ``None``: it looks at none."""

    @property
    def cameras(self) -> tuple[str, ...]:
        """Cameras that it is adapted to; none for most models."""

    def of_camera(self, camera: str | None, /) -> AbstractContextManager[None]:
        """Embed as for crops of a camera within a block, where it is adapted to it."""

    def embed_crops(self, crops: np.ndarray, parsing: np.ndarray | None = None, /) -> Embedding:
        """Return the numpy embedding of crops that have the right size.

        Args:
            crops: ``(N, H, W, 3)`` uint8 RGB.
            parsing: ``(N, H, W)`` uint8 labels of ``test_parsing``.
        """
