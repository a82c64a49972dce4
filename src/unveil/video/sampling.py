"""Which frames of a video are taken: each n-th, or at most so many per second."""

from __future__ import annotations

from unveil.errors import DataError


class FrameSampler:
    """Asked about every frame in order, says which to take.

    Args:
        every: take each n-th frame.
        fps: take at most that many frames per second, whatever the video's own rate; instead of ``every``.

    Raises:
        DataError: a value is out of range.
    """

    def __init__(self, every: int = 1, fps: float | None = None) -> None:
        if every < 1 or (fps is not None and not 0 < fps <= 1000):
            raise DataError(f"expected every >= 1 and 0 < fps <= 1000, got every={every}, fps={fps}")
        self._every = every
        self._fps = fps
        self._due = 0.0

    def takes(self, number: int, time: float) -> bool:
        """Return whether to take a frame by its number, from 0, and its time in seconds."""
        if self._fps is None:
            return number % self._every == 0
        if time < self._due - 1e-6:
            return False
        step = 1 / self._fps
        self._due = self._due + step if self._due + step > time else time + step
        return True
