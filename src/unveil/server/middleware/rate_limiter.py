"""A limit on how often somebody may ask: an exact token bucket a name, in bounded memory."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class RateLimiter:
    """Buckets that hold up to ``burst`` and gain ``per_minute`` every minute; a request takes its cost.

    Args:
        per_minute: gain of each bucket; 0 sets no limit.
        burst: what a full bucket holds.
        names: buckets kept; the one unused for longest goes first, which only ever helps its owner.
        clock: seconds, never going back.
    """

    def __init__(
        self, per_minute: float, burst: float, *, names: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gain = per_minute / 60
        self._burst = burst
        self._names = names
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, cost: float = 1.0) -> float:
        """Take ``cost`` from a bucket; return 0 when it was there, else the seconds until it will be."""
        if self._gain == 0:
            return 0.0
        with self._lock:
            now = self._clock()
            level, then = self._buckets.pop(name, (self._burst, now))
            level = min(self._burst, level + (now - then) * self._gain)
            wait = 0.0 if level >= cost else (cost - level) / self._gain
            self._buckets[name] = (level - cost if wait == 0 else level, now)
            if len(self._buckets) > self._names:
                self._buckets.popitem(last=False)
        return wait


def retry_after(wait: float) -> str:
    """Return whole seconds, rounded up, for the header of that name."""
    return str(max(1, math.ceil(wait)))
