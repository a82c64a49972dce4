"""Any ONNX segmentation network as a human parser, described by a card (SCHP exports, BodyPix, our own)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
Size = tuple[int, int]
CHUNK = 16  # crops of one inference, for models that take any number


@dataclass(frozen=True)
class Parsed:
    """What a parser says of N crops, all at one size.

    Args:
        labels: ``(N, H, W)`` uint8, labels of ``scheme``.
        visibility: ``(N, P)`` float32 in [0, 1]: how much of each part shows; P = 0 when the model does not tell.
        parts: names of the P parts.
        scheme: label set.
    """

    labels: Labels
    visibility: NDArray[np.float32]
    parts: tuple[str, ...]
    scheme: Scheme


class OnnxParser:
    """Parses crops with ONNX Runtime.

    Args:
        card: file of the card; the model lies beside it.
        threads: threads of one inference; ONNX Runtime's choice by default.
        scheme: label set of the maps, for models that make several; the card's by default.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        DataError: card or model cannot be used.
    """

    def __init__(self, card: Path, threads: int = 0, scheme: str | None = None) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("parsing with an ONNX model", "onnx") from None
        self.card: ParserCard = read_card(card)
        self.scheme: Scheme = get_scheme(scheme or self.card.scheme)
        table = self.card.table_of(scheme)
        self._table = None if table is None else np.array(table, np.uint8)
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
        if self.card.visibility:
            self._outputs.append(self.card.visibility.output)
        unknown = [name for name in self._outputs if name not in names]
        if unknown:
            raise DataError(f"{card}: the model has no output {unknown[0]!r}; it has {', '.join(names)}")

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts whose visible share the model tells."""
        return self.card.visibility.parts if self.card.visibility else ()

    def __call__(self, images: Sequence[Image]) -> list[Labels]:
        """Return the labels ``(H, W)`` uint8 of each ``(H, W, 3)`` uint8 RGB crop, at the crop's own size."""
        return self.maps_and_shares(images)[0]

    def maps_and_shares(self, images: Sequence[Image]) -> tuple[list[Labels], NDArray[np.float32]]:
        """Return labels as above, and how much of each part shows ``(N, parts)``."""
        classes, shares = self.look(images)
        return [self._named(found) for found in classes], shares

    def parse(self, images: Sequence[Image] | Image) -> Parsed:
        """Parse crops of any sizes at the model's own size.

        Args:
            images: crops ``(h, w, 3)`` uint8 RGB, or one array ``(N, h, w, 3)``.

        Returns:
            Labels ``(N, height, width)``, and how much of each part shows.
        """
        size = (self.card.height, self.card.width)
        classes, shares = self.look(images, size)
        labels = np.stack([self._named(found) for found in classes]) if classes else np.zeros((0, *size), np.uint8)
        return Parsed(labels, shares, self.parts, self.scheme)

    def look(
        self, images: Sequence[Image] | Image, size: Size | None = None
    ) -> tuple[list[NDArray[np.integer]], NDArray[np.float32]]:
        """Return what the model itself answers: class numbers ``(H, W)`` of each crop, and shares ``(N, P)``.

        Args:
            images: crops ``(h, w, 3)`` uint8 RGB.
            size: height and width of what comes back; each crop's own by default.

        Raises:
            DataError: a crop is no such array, or the model does not fit its card.
        """
        for k, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise DataError(f"crop {k}: expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}")
        fixed = self._input.shape[0] if isinstance(self._input.shape[0], int) else 0
        step = fixed or CHUNK
        maps: list[NDArray[np.integer]] = []
        shares = [np.zeros((0, len(self.parts)), np.float32)]
        for start in range(0, len(images), step):
            chunk = images[start : start + step]
            tensors = [self._prepare(image) for image in chunk]
            # A model of a fixed batch gets its last batch filled up.
            tensors += tensors[-1:] * (fixed - len(tensors))
            found = self._run(np.stack([tensor for tensor, _ in tensors]))
            if self.card.visibility:
                shares.append(self._shares(found.pop())[: len(chunk)])
            for row, (image, (_, frame)) in enumerate(zip(chunk, tensors, strict=False)):
                height, width = size or image.shape[:2]
                maps.append(self._classes([output[row] for output in found], frame, (height, width)))
        return maps, np.concatenate(shares)

    def _prepare(self, image: Image) -> tuple[NDArray[np.float32], Frame]:
        size = (self.card.height, self.card.width)
        frame = size
        if self.card.fit == "letterbox":
            factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
            frame = max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor))
        resized = np.zeros((*size, 3), np.uint8)
        top, left = _margins(size, frame)
        # Much larger crops would lose thin things to a linear filter.
        how = cv2.INTER_AREA if image.shape[0] > 2 * frame[0] else cv2.INTER_LINEAR
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

    def _shares(self, output: Any) -> NDArray[np.float32]:
        if output.ndim != 2 or output.shape[1] != len(self.parts):
            raise DataError(
                f"{self.card.model} answers shares of shape {output.shape}, but its card names {len(self.parts)} parts"
            )
        return np.asarray(output, np.float32).clip(0, 1)

    def _classes(self, outputs: list[Any], frame: Frame, size: Size) -> NDArray[np.integer]:
        """Return class numbers; -1 where the foreground says that there is nobody."""
        scores = self._upright(outputs[0], frame, size)
        classes = scores.argmax(axis=2) if scores.shape[2] > 1 else np.rint(scores[..., 0]).astype(np.int16)
        count = len(self._table) if self._table is not None else len(self.scheme.labels)
        if classes.max(initial=0) >= count:
            raise DataError(
                f"{self.card.model} answers class {classes.max()}, but its card knows {count} classes: correct scheme "
                "or table"
            )
        if self.card.foreground:
            inside = self._upright(outputs[1], frame, size)[..., 0] > self.card.foreground.threshold
            classes = np.where(inside, classes, -1)
        return classes

    def _named(self, classes: NDArray[np.integer]) -> Labels:
        labels = classes if self._table is None else self._table[classes]
        return np.where(classes < 0, 0, labels).astype(np.uint8)

    def _upright(self, output: Any, frame: Frame, size: Size) -> NDArray[np.float32]:
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
        return _resize(scores, size, how)


def _margins(size: Frame, frame: Frame) -> tuple[int, int]:
    return (size[0] - frame[0]) // 2, (size[1] - frame[1]) // 2


def _crop(scores: NDArray[np.float32], size: Frame, frame: Frame) -> NDArray[np.float32]:
    top, left = _margins(size, frame)
    return np.ascontiguousarray(scores[top : top + frame[0], left : left + frame[1]])


def _resize(scores: NDArray[np.float32], size: Frame, how: int) -> NDArray[np.float32]:
    resized = np.asarray(cv2.resize(scores, size[::-1], interpolation=how), np.float32)
    return resized if resized.ndim == 3 else resized[..., None]
