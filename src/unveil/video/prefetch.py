"""Decoding in a thread of its own, so that it runs while people are being found and embedded."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from unveil.video.records import Frame

ASK = 0.5  # seconds without a frame after which it is asked whether to wait on
WAITING = 4  # frames; each may have tens of megapixels


class ReadAhead:
    """Iterates over frames that a thread has read in the meantime; whoever leaves early must `close` it.

    Args:
        frames: where they come from.
        drop: of a live stream the oldest waiting frame is dropped when they come faster than they are taken: what is
            late would otherwise be later with every frame, until the connection loses data.
        waits: called again and again while no frame comes; what it raises ends the wait.
    """

    def __init__(
        self, frames: Iterator[Frame], *, drop: bool = False, waits: Callable[[], None] = lambda: None
    ) -> None:
        self.dropped = 0
        self._frames = frames
        self._drop = drop
        self._waits = waits
        self._waiting: queue.Queue[Frame | BaseException | None] = queue.Queue(WAITING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __iter__(self) -> Iterator[Frame]:
        self._thread.start()
        while (item := self._next()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self) -> None:
        """End the thread; nothing else may touch the video before."""
        self._over.set()
        while self._thread.is_alive():  # it may be waiting for room
            self._take_oldest()
            self._thread.join(0.05)

    def _next(self) -> Frame | BaseException | None:
        while True:
            try:
                return self._waiting.get(timeout=ASK)
            except queue.Empty:
                self._waits()

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
