"""Boxes become tracks by ByteTrack (Zhang et al., ECCV 2022, arXiv:2110.06864), from the library ``trackers``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from unveil.errors import MissingExtraError
from unveil.video.given import GivenBoxes
from unveil.video.records import Box, Frame, Tracked

KEEP_LOST = 1.5  # seconds that a track waits for its person to come back into sight


class Tracker:
    """Joins the boxes of frames by their motion, by the frames' own times.

    Args:
        rate: frames a second that it will be given, about.
        high: boxes with at least this score may begin a track; lower ones only continue one.

    Raises:
        MissingExtraError: the library is not installed.
    """

    def __init__(self, rate: float, high: float) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import supervision
                from trackers import ByteTrackTracker
        except ImportError:
            raise MissingExtraError("tracking people in a video", "video") from None
        self._detections: Any = supervision.Detections
        self._tracker: Any = ByteTrackTracker(
            lost_track_buffer=math.ceil(30 * KEEP_LOST),
            frame_rate=rate,
            track_activation_threshold=high,
            high_conf_det_threshold=high,
            minimum_consecutive_frames=2,
        )

    def update(self, frame: Frame, boxes: Sequence[Box]) -> list[Tracked]:
        """Return the boxes of a frame that belong to a track; a new person has one from the second frame on."""
        rows = np.array([(b.x, b.y, b.x + b.w, b.y + b.h) for b in boxes], np.float32).reshape(-1, 4)
        found = self._detections(
            xyxy=rows,
            confidence=np.array([b.score for b in boxes], np.float32),
            data={"row": np.arange(len(boxes))},
        )
        tracked = self._tracker.update(found, timestamp=frame.time)
        if not len(tracked):
            return []
        pairs = zip(tracked.tracker_id, tracked.data["row"], strict=True)
        return [Tracked(str(track), boxes[int(row)]) for track, row in pairs if track >= 0]

    @property
    def alive(self) -> set[str]:
        """Tracks that may still go on."""
        return {str(track.tracker_id) for track in self._tracker.tracks if track.tracker_id >= 0}

    @property
    def idle(self) -> bool:
        """Whether no track is open, not even one of a single box: what comes next depends on nothing before."""
        return not self._tracker.tracks


class GivenTracks:
    """Tracks that a file of boxes names: a track is over after some seconds without a box."""

    def __init__(self, given: GivenBoxes) -> None:
        self._given = given
        self._seen: dict[str, float] = {}

    def update(self, frame: Frame, boxes: Sequence[Box]) -> list[Tracked]:
        """Return the boxes of a frame with the file's tracks."""
        names = [str(name) for name in self._given.tracks(frame.number)]
        self._seen |= dict.fromkeys(names, frame.time)
        self._seen = {name: time for name, time in self._seen.items() if frame.time - time <= KEEP_LOST}
        return [Tracked(name, box) for name, box in zip(names, boxes, strict=True)]

    @property
    def alive(self) -> set[str]:
        """Tracks that may still go on."""
        return set(self._seen)

    @property
    def idle(self) -> bool:
        """Whether no track is open."""
        return not self._seen
