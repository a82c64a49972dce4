"""Seconds since the first frame, whatever a damaged file or a camera that restarts says."""

from __future__ import annotations

from typing import Any

LONGEST_GAP = 3600.0  # seconds between two frames of a file; more is a damaged time stamp
DISORDER = 3.0  # seconds; frames around a damage may come that late, further back the clock began anew


class Clock:
    """Reads the times of frames; it never goes backwards.

    Args:
        rate: frames per second, for frames that have no time of their own.
        decode_order: the container stores only the order of decoding (AVI), so a frame's presentation time is made up;
            frames leave the decoder in order, and their decoding times rise evenly.
    """

    def __init__(self, rate: float, *, decode_order: bool = False) -> None:
        self._step = 1 / rate
        self._decode_order = decode_order
        self._zero: float | None = None
        self._last: float | None = None

    def read(self, frame: Any) -> float | None:
        """Return the time of a frame, of a missing one by estimate; ``None`` for one that comes out of order."""
        stamp = None if frame is None else self._stamp(frame)
        expected = 0.0 if self._last is None else self._last + self._step
        if stamp is None:
            self._last = expected
            return expected
        if self._zero is None:
            self._zero = stamp - expected
        time = stamp - self._zero
        last = 0.0 if self._last is None else self._last
        if last - DISORDER <= time < last - 1e-9:
            return None
        if not last - 1e-9 <= time <= last + LONGEST_GAP:  # the clock of the camera began anew, or the stamp is damaged
            self._zero, time = stamp - expected, expected
        self._last = time
        return time

    def _stamp(self, frame: Any) -> float | None:
        if not self._decode_order:
            time: float | None = frame.time
            return time
        return None if frame.dts is None or frame.time_base is None else float(frame.dts * frame.time_base)

    def restart(self, pause: float) -> None:
        """Go on after a pause in which there were no frames, seconds, with stamps that may begin anew."""
        self._zero = None
        if self._last is not None:
            self._last += pause
