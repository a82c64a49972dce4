"""Whether a file ends where its header says: a recording that was cut off still decodes, and gives no error.

Times and not numbers of frames are compared: an edit list leaves frames out on purpose, a camera repeats some.
"""

from __future__ import annotations

import re
from typing import Any

# Formats whose header announces a length; of others FFmpeg makes one up from what is there.
ANNOUNCING = frozenset(("mov", "matroska", "flv", "avi", "asf", "mxf", "nut"))
SLACK = 0.05  # seconds; headers round
FRAMES = 2  # that may be missing: the length of the last one is often a guess


class Completeness:
    """Follows the packets of a file and compares where they end with the announced length.

    Args:
        container: opened by PyAV.
        stream: its video stream.
        rate: frames per second.
    """

    def __init__(self, container: Any, stream: Any, *, rate: float) -> None:
        self._stream = stream.index
        self._step = 1 / rate
        avi = container.format.name == "avi"
        # FFmpeg shortens the length of an AVI to what the size of the file allows, and leaves the number of frames.
        self._own = stream.frames * self._step if avi and stream.frames else _own_seconds(stream)
        announces = not ANNOUNCING.isdisjoint(container.format.name.split(","))
        length = container.duration / 1_000_000 if container.duration and container.duration > 0 else None
        self.announced: float | None = (self._own or length) if announces else None
        self._start: float | None = None
        self._end = 0.0
        self._decoded: float | None = None
        self._gap = 0.0

    @property
    def all_streams(self) -> bool:
        """Whether packets of every stream are needed: where only the file's length is known, sound may be longer."""
        return self.announced is not None and self._own is None

    def see(self, packet: Any) -> None:
        """Take note of the times of a packet, of whatever stream."""
        if packet.pts is None or packet.time_base is None:
            return
        start, lasts = (float((ticks or 0) * packet.time_base) for ticks in (packet.pts, packet.duration))
        self._start = start if self._start is None else min(self._start, start)
        if packet.stream.index == self._stream:
            lasts = lasts or self._step
            if packet.dts is not None:
                decoded = float(packet.dts * packet.time_base)
                # A time lapse or a camera that saves frames has long ones; the last may be as long as any.
                self._gap = max(self._gap, decoded - self._decoded) if self._decoded is not None else 0.0
                self._decoded = decoded
        self._end = max(self._end, start + lasts)

    def missing(self) -> str | None:
        """Say, after the last packet, how much of the announced length is not there; ``None`` when all is."""
        if self.announced is None or self._start is None:
            return None
        slack = max(FRAMES * self._step, self._gap) + SLACK
        # Some formats announce the last timestamp, others the time from the first one.
        end = self._end if self._start >= 0 and self._end <= self.announced + slack else self._end - self._start
        lost = self.announced - end
        if lost <= slack:
            return None
        return f"{lost:.1f} of {self.announced:.1f} announced seconds are missing"


def _own_seconds(stream: Any) -> float | None:
    """Return the length that the header gives for the video alone."""
    if stream.duration and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    # Matroska keeps it in a tag.
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "").strip())
    if not found:
        return None
    hours, minutes, seconds = (float(part) for part in found.groups())
    return (3600 * hours + 60 * minutes + seconds) or None
