"""Decoding of what clients sent: as many pixels at one time as there is memory for, each image once a request."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from fastapi import HTTPException

from unveil.data.images import decoded_size, pixel_count, read_image
from unveil.server.settings import Limits

NAME = "the image"
MAX_WAITING = 16  # requests that wait for their turn; each keeps a thread


class Decoder:
    """Decodes images for many threads, within a budget of pixels; who comes first is served first.

    Args:
        limits: pixels of one image and of all together, and how long a request may wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = max(limits.decoding, limits.pixels)
        self._turns: deque[object] = deque()
        self._news = threading.Condition()

    @contextmanager
    def decoded(self, data: bytes, *, longest_side: int | None = None) -> Iterator[np.ndarray]:
        """Give an image; its pixels count until the block ends, so keep no more than small parts of it.

        Args:
            data: the file.
            longest_side: pixels that are enough; formats that can be decoded at a smaller size are.

        Raises:
            ImageError: too large, damaged, or no image.
            HTTPException: 503, other images take all memory there is for them.
        """
        with self.reserved(data):
            yield read_image(data, self._limits.pixels, name=NAME, longest_side=longest_side)

    def checked_size(self, data: bytes) -> tuple[int, int]:
        """Return width and height of an image, turned as its EXIF data says, when all of it can be decoded.

        Raises:
            ImageError: too large, damaged, or no image.
            HTTPException: 503, as above.
        """
        with self.reserved(data):
            return decoded_size(data, self._limits.pixels, name=NAME)

    @contextmanager
    def reserved(self, data: bytes) -> Iterator[None]:
        """Hold what an image takes of the budget, for one who decodes it himself.

        Raises:
            ImageError: too large, or no image.
            HTTPException: 503, as above.
        """
        pixels = pixel_count(data, self._limits.pixels, name=NAME)
        self._take(pixels)
        try:
            yield
        finally:
            with self._news:
                self._free += pixels
                self._news.notify_all()

    def _take(self, pixels: int) -> None:
        turn = object()
        deadline = time.monotonic() + self._limits.decode_seconds
        with self._news:
            busy = len(self._turns) >= MAX_WAITING
            if not busy:
                self._turns.append(turn)
                try:
                    self._news.wait_for(
                        lambda: self._turns[0] is turn and self._free >= pixels, deadline - time.monotonic()
                    )
                    busy = not (self._turns[0] is turn and self._free >= pixels)
                finally:
                    self._turns.remove(turn)
                    self._news.notify_all()
            if busy:
                said = "too many images are decoded at this time: try again in a moment"
                raise HTTPException(503, said, {"Retry-After": "5"})
            self._free -= pixels
