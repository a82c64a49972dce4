"""One way to embed images, whoever made the model and whatever runs it: PyTorch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image as Pillow

from unveil.data.fitting import CropSize
from unveil.data.images import read_image, to_rgb
from unveil.export.metadata import SpaceInfo
from unveil.models.embed import embed_images
from unveil.models.summary import ModelSummary
from unveil.records import Embedding

Kind = Literal["torch", "onnx", "openvino"]
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
ImageInput = np.ndarray | Pillow.Image | Path | str
BATCH = 32


class Metadata(Protocol):
    """What an engine must know of its model: `unveil.export.metadata.ModelMetadata`, or a card of another project."""

    @property
    def space(self) -> SpaceInfo:
        """Names, dimension, metric and weights of the vectors, and the preprocessing."""

    @property
    def fingerprint(self) -> str:
        """Hash of weights and preprocessing."""

    def summary(self, name: str, /) -> ModelSummary:
        """Return what people are told of the model of that name."""


class Engine:
    """A model that is ready to embed; safe to use from several threads.

    Args:
        kind: what runs it.
        metadata: card and embedding space of the model.
        run: takes ``(n, H, W, 3)`` uint8 and returns vectors ``(n, E, D)`` and visibility ``(n, E)`` float32.
        name: what people call the model.
        batch: crops at a time.
        cameras: that the model is adapted to, where ``run`` can embed as for one of them; an exported graph has the
            statistics of all cameras together.
        of_camera: lets ``run`` embed as for crops of one of these cameras within a block.
    """

    def __init__(
        self,
        kind: Kind,
        metadata: Metadata,
        *,
        run: Run,
        name: str = "model",
        batch: int = BATCH,
        cameras: tuple[str, ...] = (),
        of_camera: Callable[[str | None], AbstractContextManager[None]] | None = None,
    ) -> None:
        self.kind = kind
        self.metadata = metadata
        self.name = name
        self.batch = batch
        self.crop_size: CropSize = metadata.space.crop_size
        self.test_parsing = None
        self.cameras = cameras
        self._run = run
        self._of_camera = of_camera
        self._lock = threading.RLock()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model: the same whatever runs it."""
        return self.metadata.fingerprint

    @property
    def summary(self) -> ModelSummary:
        """What people are told of the model."""
        return self.metadata.summary(self.name)

    @property
    def space_info(self) -> SpaceInfo:
        """Names, dimension, metric and weights of the vectors, and the preprocessing."""
        return self.metadata.space

    def embed(self, images: Sequence[ImageInput], *, cameras: Sequence[str | None] | None = None) -> Embedding:
        """Return the numpy embedding of crops of any size, in order.

        Args:
            images: each one ``(H, W, 3)`` uint8 RGB, an image of Pillow, or the path of a file.
            cameras: label of each crop's camera, ``None`` where it is unknown.

        Raises:
            ValueError: something is no image.
            ImageError: a file cannot be read.
        """
        arrays = [_array(image, number) for number, image in enumerate(images)]
        return embed_images(self, arrays, cameras=cameras) if arrays else self._nothing()

    def embed_crops(self, crops: np.ndarray, parsing: np.ndarray | None = None, /) -> Embedding:
        """Return the embedding of crops that have the right size; see `unveil.models.embedder.Embedder`."""
        info = self.space_info
        with self._lock:
            vectors, visibility = self._run(np.ascontiguousarray(crops))
        return Embedding(vectors, visibility, info.names, info.metric, info.weights)

    @contextmanager
    def of_camera(self, camera: str | None, /) -> Iterator[None]:
        """Embed as for crops of a camera within a block, where the model is adapted to it; other threads wait."""
        if self._of_camera is None or camera not in self.cameras:
            yield
            return
        with self._lock, self._of_camera(camera):
            yield

    def _nothing(self) -> Embedding:
        info = self.space_info
        shape = (0, len(info.names))
        vectors = np.empty((*shape, info.dimension), np.float32)
        return Embedding(vectors, np.empty(shape, np.float32), info.names, info.metric, info.weights)


def _array(image: ImageInput, number: int) -> np.ndarray:
    if isinstance(image, Pillow.Image):
        return to_rgb(image, f"image {number}")
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image {number}: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
    return image
