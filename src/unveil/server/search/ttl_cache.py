"""Things held in memory for a while for whoever brought them: images to search with, results to export."""

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


@dataclass
class _Share:
    """What one owner holds."""

    things: int = 0
    size: int = 0


class TTLCache(Generic[T]):
    """Bounded by number, size and time; safe to share between threads.

    When it is full, the owner who holds most gives up what he has not used for longest. So nobody pushes out what
    others hold by bringing much, or many small things.

    Args:
        most: things held.
        size: sum of their sizes.
        seconds: how long a thing stays after its last use.
        clock: seconds, never going back.
    """

    def __init__(self, most: int, size: int, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._limit = size
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[str, _Held[T]] = OrderedDict()
        self._shares: dict[str, _Share] = {}
        self._total = 0

    def put(self, owner: str, value: T, *, size: int = 1) -> str:
        """Keep a thing; return the name to ask for it, which nobody can guess."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._held[name] = _Held(owner, value, size, self._clock())
            share = self._shares.setdefault(owner, _Share())
            share.things += 1
            share.size += size
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

    def change(self, new: Callable[[T], T | None]) -> None:
        """Put another value in the place of each; ``None`` lets go of it. Sizes are taken to be the same."""
        with self._lock:
            self._tidy()
            held = list(self._held.items())
        # Without the lock: `new` may ask a database.
        for name, thing in held:
            value = new(thing.value)
            with self._lock:
                if self._held.get(name) is not thing:
                    continue
                if value is None:
                    self._drop(name)
                else:
                    thing.value = value

    def values(self) -> list[T]:
        """Return all values."""
        with self._lock:
            self._tidy()
            return [held.value for held in self._held.values()]

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()
            self._shares.clear()
            self._total = 0

    def __len__(self) -> int:
        return len(self._held)

    def _tidy(self) -> None:
        old = self._clock() - self._seconds
        while self._held:
            name, oldest = next(iter(self._held.items()))
            if oldest.used >= old:
                break
            self._drop(name)
        while len(self._held) > self._most or self._total > self._limit:
            largest = max(self._shares, key=lambda owner: self._part(self._shares[owner]))
            self._drop(next(name for name, held in self._held.items() if held.owner == largest))

    def _part(self, share: _Share) -> float:
        return max(share.things / self._most, share.size / self._limit)

    def _drop(self, name: str) -> None:
        held = self._held.pop(name)
        self._total -= held.size
        share = self._shares[held.owner]
        share.things -= 1
        share.size -= held.size
        if not share.things:
            del self._shares[held.owner]
