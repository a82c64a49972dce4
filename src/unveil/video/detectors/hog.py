"""OpenCV's people detector (Dalal and Triggs, CVPR 2005): no model file, finds upright and wholly visible people."""

from __future__ import annotations

import cv2
import numpy as np

from unveil.video.records import Box, Image

HEIGHT = 480  # frames are brought to this height: the window is 128 pixels high, people are higher in most frames
OVERLAP = 0.4
# The detector answers a margin to the border between person and background, unbounded above.
MARGIN = 0.6


class HogDetector:
    """Finds people by histograms of oriented gradients."""

    name = "opencv-hog"
    high = 0.5

    def __init__(self) -> None:
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def detect(self, frame: Image) -> list[Box]:
        """Return the people in an ``(H, W, 3)`` uint8 RGB frame, best first."""
        factor = HEIGHT / frame.shape[0]
        size = max(64, round(frame.shape[1] * factor)), max(128, HEIGHT)
        small = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        rects, margins = self._hog.detectMultiScale(small, winStride=(8, 8), padding=(8, 8), scale=1.05)
        if not len(rects):
            return []
        # The window holds a border of about an eighth around the person.
        flat = [[x + 0.12 * w, y + 0.06 * h, 0.76 * w, 0.88 * h] for x, y, w, h in np.asarray(rects, float)]
        scores = np.clip(np.asarray(margins).ravel() / (2 * MARGIN), 0.0, 1.0)
        kept = cv2.dnn.NMSBoxes(flat, scores.tolist(), 0.0, OVERLAP)
        across, down = size[0] / frame.shape[1], size[1] / frame.shape[0]
        return [
            Box(flat[k][0] / across, flat[k][1] / down, flat[k][2] / across, flat[k][3] / down, float(scores[k]))
            for k in kept
        ]
