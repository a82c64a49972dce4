"""One call of the engine for the crops of all requests that wait for it.

While the engine works, requests gather; when it is free it takes what waits, up to a batch. Nobody waits for a batch
to fill. The same crop asked for twice at a time is embedded once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

import numpy as np

from unveil.records import Embedding

MAX_TOGETHER = 32
TIMEOUT = 120.0


class Embeds(Protocol):
    """What the batcher needs of an engine."""

    def embed(self, images: Sequence[np.ndarray]) -> Embedding:
        """Embed ``(H, W, 3)`` uint8 images of any size."""


class Batcher:
    """Embeds crops for many threads through one engine.

    Args:
        engine: what embeds; it is called by one thread at a time.
        most: crops in one call.
        watch: called with the number of crops before each call of the engine.
    """

    def __init__(
        self, engine: Embeds, most: int = MAX_TOGETHER, *, watch: Callable[[int], None] = lambda size: None
    ) -> None:
        self._engine = engine
        self._most = most
        self._watch = watch
        self._news = threading.Condition()
        self._waiting: OrderedDict[bytes, tuple[np.ndarray, Future[Embedding]]] = OrderedDict()
        self._under_way: dict[bytes, Future[Embedding]] = {}
        self._closed = False
        self._worker = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._worker.start()

    def embed(self, images: Sequence[np.ndarray]) -> Embedding:
        """Embed crops, in order; waits for the engine.

        Raises:
            RuntimeError: the batcher was closed.
            TimeoutError: the engine did not answer in two minutes.
        """
        futures = [self._ask(image) for image in images]
        return Embedding.concatenate([future.result(TIMEOUT) for future in futures])

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._worker.join()

    def _ask(self, image: np.ndarray) -> Future[Embedding]:
        key = hashlib.sha256(np.ascontiguousarray(image).data).digest() + str(image.shape).encode()
        with self._news:
            if self._closed:
                raise RuntimeError("the batcher was closed")
            if key in self._waiting:
                return self._waiting[key][1]
            if key in self._under_way:
                return self._under_way[key]
            future: Future[Embedding] = Future()
            self._waiting[key] = (image, future)
            self._news.notify()
            return future

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                taken = [self._waiting.popitem(last=False) for _ in range(min(self._most, len(self._waiting)))]
                batch = [(image, future) for _, (image, future) in taken]
                self._under_way = {key: future for key, (_, future) in taken}
            self._run(batch)
            with self._news:
                self._under_way = {}

    def _run(self, batch: list[tuple[np.ndarray, Future[Embedding]]]) -> None:
        self._watch(len(batch))
        try:
            embedding = self._engine.embed([image for image, _ in batch])
        except Exception as e:
            if len(batch) == 1:
                batch[0][1].set_exception(e)
                return
            for one in batch:  # nobody pays for another's crop
                self._run([one])
            return
        for row, (_, future) in enumerate(batch):
            future.set_result(embedding.select(slice(row, row + 1)))
