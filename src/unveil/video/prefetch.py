"""Decoding in a thread of its own, so that it runs while people are being found and embedded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

from unveil.video.records import Frame

WAITING = 4  # frames; each may have tens of megapixels


class ReadAhead:
    """Iterates over frames that a thread has read in the meantime.

    Args:
        frames: where they come from.
        drop: of a live stream the oldest waiting frame is dropped when they come faster than they are taken: what is
            late would otherwise be later with every frame, until the connection loses data.
    """

    def __init__(self, frames: Iterator[Frame], *, drop: bool = False) -> None:
        self.dropped = 0
        self._frames = frames
        self._drop = drop
        self._waiting: queue.Queue[Frame | BaseException | None] = queue.Queue(WAITING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        self._thread.start()
        try:
            while (item := self._waiting.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """End the thread; nothing else may touch the video before."""
        self._over.set()
        while self._thread.is_alive():  # it may be waiting for room
            self._take_oldest()
            self._thread.join(0.05)

    def _read(self) -> None:
        end: BaseException | None = None
        try:
            for frame in self._frames:
                self._put(frame)
                if self._over.is_set():
                    return
        except BaseException as e:  # raised again where the frames are used
            end = e
        self._put(end, keep=True)

    def _put(self, item: Frame | BaseException | None, *, keep: bool = False) -> None:
        if self._drop and not keep:
            while self._waiting.full():
                self.dropped += self._take_oldest()
        self._waiting.put(item)

    def _take_oldest(self) -> bool:
        try:
            self._waiting.get_nowait()
        except queue.Empty:
            return False
        return True
