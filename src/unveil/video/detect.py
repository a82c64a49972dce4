"""Detection of people in frames: any ONNX detector with a card, or OpenCV's HOG where there is no model."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from unveil.errors import DataError, MissingExtraError
from unveil.files import sha256
from unveil.video import detr, ready, yolov8, yolox
from unveil.video.card import DetectorCard, read_card
from unveil.video.hog import HogDetector
from unveil.video.records import Box, Image

MAX_BOXES = 300
SMALLEST = 2.0  # pixels of a frame
DECODERS = {"yolox": yolox.decode, "yolov8": yolov8.decode, "detr": detr.decode, "ready": ready.decode}


class Detector(Protocol):
    """Anything that finds people in a frame."""

    name: str
    high: float

    def detect(self, frame: Image) -> list[Box]:
        """Return the people in an ``(H, W, 3)`` uint8 RGB frame, best first."""
        ...


def load_detector(path: Path | str | None = None, threads: int = 0) -> Detector:
    """Open a detector.

    Args:
        path: card (.json) or model (.onnx) of a detector; ``None`` takes OpenCV's HOG, which needs no model and finds
            upright, wholly visible people only.
        threads: threads of one inference; ONNX Runtime's choice by default.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        DataError: card or model cannot be used.
    """
    return HogDetector() if path is None else OnnxDetector(Path(path), threads)


class OnnxDetector:
    """Finds people with ONNX Runtime; see `load_detector`."""

    high = 0.5  # score from which a box may begin a track

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("detection with an ONNX model", "onnx") from None
        self.card: DetectorCard
        self.card, model = read_card(path)
        self.name = f"{model.name}@{sha256(model)[:12]}"
        if not self.card.licence:
            logging.getLogger(__name__).warning("%s: the card names no licence of the model", path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        except Exception as e:  # ONNX Runtime raises its own kinds, none of them public
            raise DataError(f"{model}: not a model that ONNX Runtime can load: {e}") from None
        self._input = next((i.name for i in self._session.get_inputs() if i.name != self.card.sizes), "")

    def detect(self, frame: Image) -> list[Box]:
        """Return the people in an ``(H, W, 3)`` uint8 RGB frame, best first; at most `MAX_BOXES`."""
        height, width = frame.shape[:2]
        tensor, factors, margins = prepare(frame, self.card)
        feed: dict[str, Any] = {self._input: tensor}
        if self.card.sizes is not None:
            feed[self.card.sizes] = np.array([[width, height]], np.int64)
            factors, margins = (1.0, 1.0), (0, 0)
        try:
            outputs = self._session.run(None, feed)
        except Exception as e:
            raise DataError(
                f"{self.card.model}: the model refuses an input of shape {tensor.shape}; correct width, height, layout "
                f"or sizes of the card: {e}"
            ) from None
        boxes, scores = DECODERS[self.card.decoder](outputs, self.card)
        boxes = (boxes - np.array(margins * 2)) / np.array(factors * 2)
        return _keep(boxes, scores, self.card, (width, height))


def prepare(frame: Image, card: DetectorCard) -> tuple[np.ndarray, tuple[float, float], tuple[int, int]]:
    """Return the input tensor, the factors (x, y) from frame to input, and the margins (left, top) around it."""
    height, width = frame.shape[:2]
    factors = (card.width / width, card.height / height)
    size = (card.width, card.height)
    if card.fit != "stretch":
        factor = min(factors)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        factors = (size[0] / width, size[1] / height)
    left, top = ((card.width - size[0]) // 2, (card.height - size[1]) // 2) if card.fit == "centre" else (0, 0)
    canvas = np.full((card.height, card.width, 3), card.pad, np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    pixels = canvas[..., ::-1] if card.channels == "bgr" else canvas
    tensor = (pixels * np.float32(card.scale) - np.array(card.mean, np.float32)) / np.array(card.std, np.float32)
    tensor = tensor.transpose(2, 0, 1) if card.layout == "nchw" else tensor
    return np.ascontiguousarray(tensor[None], np.float32), factors, (left, top)


def _keep(boxes: np.ndarray, scores: np.ndarray, card: DetectorCard, size: tuple[int, int]) -> list[Box]:
    """Return the boxes that are good enough, inside the frame and not another's double."""
    boxes = np.clip(boxes, 0, np.array(size * 2))
    sides = boxes[:, 2:] - boxes[:, :2]
    rows = np.flatnonzero(np.isfinite(boxes).all(axis=1) & (scores >= card.score) & (sides.min(axis=1) >= SMALLEST))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    flat = np.concatenate([boxes[rows, :2], sides[rows]], axis=1).astype(float)
    if card.overlap < 1 and len(flat):
        kept = np.asarray(cv2.dnn.NMSBoxes(flat.tolist(), scores[rows].astype(float).tolist(), 0.0, card.overlap), int)
        flat, rows = flat[kept], rows[kept]
    found = zip(flat[:MAX_BOXES].tolist(), np.minimum(scores[rows[:MAX_BOXES]], 1).tolist(), strict=True)
    return [Box(x, y, w, h, score) for (x, y, w, h), score in found]
