"""Things held in memory for a while for whoever brought them: pictures to search with, results to export."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Held(Generic[T]):
    owner: str
    value: T
    size: int
    used: float


class Shelf(Generic[T]):
    """Bounded by number, size and time; what was unused for longest goes first. Safe to share between threads.

    Args:
        most: things held.
        size: sum of their sizes.
        seconds: how long a thing stays after its last use.
        clock: seconds, never going back.
    """

    def __init__(self, most: int, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._limit = size
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held[T]] = OrderedDict()
        self._total = 0

    def put(self, owner: str, value: T, size: int = 1) -> str:
        """Keep a thing; return the name to ask for it, which nobody can guess."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._held[name] = _Held(owner, value, size, self._clock())
            self._total += size
            self._tidy()
        return name

    def get(self, owner: str, name: str) -> T | None:
        """Return a thing to its owner; ``None`` when it is gone, was never there, or is somebody else's."""
        with self._lock:
            self._tidy()
            held = self._held.get(name)
            if held is None or held.owner != owner:
                return None
            held.used = self._clock()
            self._held.move_to_end(name)
            return held.value

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()
            self._total = 0

    def __len__(self) -> int:
        return len(self._held)

    def _tidy(self) -> None:
        old = self._clock() - self._seconds
        while self._held:
            oldest = next(iter(self._held.values()))
            if len(self._held) <= self._most and self._total <= self._limit and oldest.used >= old:
                return
            self._held.popitem(last=False)
            self._total -= oldest.size
