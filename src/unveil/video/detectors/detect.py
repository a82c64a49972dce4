"""Detection of people in frames: any ONNX or OpenVINO detector with a card, or OpenCV's HOG without a model."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from unveil.atomic_io import sha256
from unveil.data.fitting import placement
from unveil.runtime.preprocessing import crop_size, to_input
from unveil.runtime.session import open_session
from unveil.video.card import DetectorCard, read_card
from unveil.video.detectors import detr, postprocessed, ssd, yolov8, yolox
from unveil.video.detectors.hog import HogDetector
from unveil.video.records import Box, Image

MAX_BOXES = 300
SMALLEST = 2.0  # pixels of a frame
DECODERS = {
    "yolox": yolox.decode,
    "yolov8": yolov8.decode,
    "detr": detr.decode,
    "ssd": ssd.decode,
    "ready": postprocessed.decode,
}


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
        path: card (.json) or model (.onnx, .xml) of a detector; ``None`` takes OpenCV's HOG, which needs no model and
            finds upright, wholly visible people only.
        threads: threads of one inference; all cores by default.

    Raises:
        MissingExtraError: what runs the model is not installed.
        CheckpointError: card or model cannot be used.
    """
    return HogDetector() if path is None else ModelDetector(Path(path), threads)


class OneAtATime:
    """A detector that several threads share: one frame at a time.

    Args:
        detector: what finds people.
        lock: held meanwhile.
    """

    def __init__(self, detector: Detector, lock: threading.Lock) -> None:
        self._detector = detector
        self._lock = lock
        self.name, self.high = detector.name, detector.high

    def detect(self, frame: Image) -> list[Box]:
        """Return the people in a frame; see `Detector`."""
        with self._lock:
            return self._detector.detect(frame)


class ModelDetector:
    """Finds people with an ONNX or OpenVINO model that has a card; see `load_detector`."""

    high = 0.5  # score from which a box may begin a track

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.card: DetectorCard
        self.card, model = read_card(path)
        self.name = f"{model.name}@{sha256(model)[:12]}"
        if not self.card.licence:
            logging.getLogger(__name__).warning("%s: the card names no licence of the model", path)
        self._session = open_session(model, threads)
        self._input = self._session.input(
            self.card.input or next((i.name for i in self._session.inputs if i.name != self.card.sizes), None)
        )

    def detect(self, frame: Image) -> list[Box]:
        """Return the people in an ``(H, W, 3)`` uint8 RGB frame, best first; at most `MAX_BOXES`."""
        height, width = frame.shape[:2]
        where = placement(height, width, size=crop_size(self.card))
        feed: dict[str, Any] = {self._input.name: to_input([frame], self.card, dtype=self._input.dtype)}
        outputs = self._session.run(feed | self._frame_size(height, width))
        boxes, scores = DECODERS[self.card.decoder](outputs, self.card)
        if self.card.sizes is None:
            boxes = (boxes - np.array((where.left, where.top) * 2)) / np.array((where.across, where.down) * 2)
        return _keep(boxes, scores, card=self.card, size=(width, height))

    def _frame_size(self, height: int, width: int) -> dict[str, np.ndarray]:
        return {} if self.card.sizes is None else {self.card.sizes: np.array([[width, height]], np.int64)}


def _keep(boxes: np.ndarray, scores: np.ndarray, *, card: DetectorCard, size: tuple[int, int]) -> list[Box]:
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
