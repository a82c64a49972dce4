"""Any ONNX segmentation network as a human parser, described by a card (SCHP exports, BodyPix, our own)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unveil.errors import DataError, MissingExtraError
from unveil.files import sha256
from unveil.parsing.card import ParserCard, read_card
from unveil.parsing.labels import Scheme, get_scheme

Image = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Frame = tuple[int, int]


class OnnxParser:
    """Parses crops with ONNX Runtime.

    Args:
        card: file of the card; the model lies beside it.
        threads: threads of one inference; ONNX Runtime's choice by default.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        DataError: card or model cannot be used.
    """

    def __init__(self, card: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("parsing with an ONNX model", "onnx") from None
        self.card: ParserCard = read_card(card)
        self.scheme: Scheme = get_scheme(self.card.scheme)
        model = card.parent / self.card.model
        self.fingerprint = f"{model.name}@{sha256(model)[:12]}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # exporters leave warnings that a user can do nothing about
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # ONNX Runtime raises its own kinds, none of them public
            raise DataError(f"{model}: not a model that ONNX Runtime can load: {e}") from None
        self._input = self._session.get_inputs()[0]
        names = [output.name for output in self._session.get_outputs()]
        self._outputs = [self.card.output or names[0]]
        if self.card.foreground:
            self._outputs.append(self.card.foreground.output)
        unknown = [name for name in self._outputs if name not in names]
        if unknown:
            raise DataError(f"{card}: the model has no output {unknown[0]!r}; it has {', '.join(names)}")

    def __call__(self, images: Sequence[Image]) -> list[Labels]:
        """Return the labels ``(H, W)`` uint8 of each ``(H, W, 3)`` uint8 RGB crop, at the crop's own size."""
        batch = self._input.shape[0] if isinstance(self._input.shape[0], int) else len(images)
        maps: list[Labels] = []
        for start in range(0, len(images), max(1, batch)):
            chunk = images[start : start + max(1, batch)]
            tensors = [self._prepare(image) for image in chunk]
            # A model of a fixed batch gets its last batch filled up.
            tensors += tensors[-1:] * (batch - len(tensors))
            found = self._run(np.stack([tensor for tensor, _ in tensors]))
            for row, (image, (_, frame)) in enumerate(zip(chunk, tensors, strict=False)):
                maps.append(self._labels([output[row] for output in found], frame, image.shape[:2]))
        return maps

    def _prepare(self, image: Image) -> tuple[NDArray[np.float32], Frame]:
        size = (self.card.height, self.card.width)
        frame = size
        if self.card.fit == "letterbox":
            factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
            frame = max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))
        resized = np.zeros((*size, 3), np.uint8)
        top, left = _margins(size, frame)
        how = cv2.INTER_LINEAR
        resized[top : top + frame[0], left : left + frame[1]] = cv2.resize(image, frame[::-1], interpolation=how)
        pixels = resized[..., ::-1] if self.card.channels == "bgr" else resized
        mean, std = np.array(self.card.mean, np.float32), np.array(self.card.std, np.float32)
        tensor = (pixels * np.float32(self.card.scale) - mean) / std
        tensor = tensor.transpose(2, 0, 1) if self.card.layout == "nchw" else tensor
        return np.ascontiguousarray(tensor, np.float32), frame

    def _run(self, batch: NDArray[np.float32]) -> list[Any]:
        try:
            return list(self._session.run(self._outputs, {self._input.name: batch}))
        except Exception as e:
            raise DataError(
                f"{self.card.model}: the model refuses an input of shape {batch.shape} (its own is "
                f"{self._input.shape}); correct height, width or layout of the card: {e}"
            ) from None

    def _labels(self, outputs: list[Any], frame: Frame, size: tuple[int, ...]) -> Labels:
        scores = self._upright(outputs[0], frame, size)
        labels = scores.argmax(axis=2) if scores.shape[2] > 1 else np.rint(scores[..., 0]).astype(np.int64)
        count = len(self.card.table or self.scheme.labels)
        if labels.max(initial=0) >= count:
            raise DataError(
                f"{self.card.model} answers class {labels.max()}, but its card knows {count} classes: correct scheme "
                "or table"
            )
        if self.card.table:
            labels = np.array(self.card.table)[labels]
        if self.card.foreground:
            labels = np.where(
                self._upright(outputs[1], frame, size)[..., 0] > self.card.foreground.threshold, labels, 0
            )
        return np.asarray(labels, np.uint8)

    def _upright(self, output: Any, frame: Frame, size: tuple[int, ...]) -> NDArray[np.float32]:
        """Return an output as ``(H, W, classes)`` at the crop's size, borders cut off; labels by the nearest pixel."""
        whole = output.ndim == 2 or np.issubdtype(output.dtype, np.integer)
        scores = output[..., None] if output.ndim == 2 else output
        if output.ndim == 3 and self.card.layout == "nchw":
            scores = scores.transpose(1, 2, 0)
        scores = np.ascontiguousarray(scores, np.float32)
        network = (self.card.height, self.card.width)
        how = cv2.INTER_NEAREST if whole else cv2.INTER_LINEAR
        if frame != network:  # the borders are cut at the input's size, where they are known
            scores = _crop(_resize(scores, network, how), network, frame)
        return _resize(scores, (size[0], size[1]), how)


def _margins(size: Frame, frame: Frame) -> tuple[int, int]:
    return (size[0] - frame[0]) // 2, (size[1] - frame[1]) // 2


def _crop(scores: NDArray[np.float32], size: Frame, frame: Frame) -> NDArray[np.float32]:
    top, left = _margins(size, frame)
    return np.ascontiguousarray(scores[top : top + frame[0], left : left + frame[1]])


def _resize(scores: NDArray[np.float32], size: Frame, how: int) -> NDArray[np.float32]:
    resized = np.asarray(cv2.resize(scores, size[::-1], interpolation=how), np.float32)
    return resized if resized.ndim == 3 else resized[..., None]
