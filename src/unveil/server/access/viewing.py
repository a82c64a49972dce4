"""Who looked at the rows of a gallery without a search: an entry when somebody begins, one with counts when he ends.

An entry for every thumbnail of a page would bury the log and slow the page. So an entry is made before the first of
them is shown, and the counts follow when nothing was looked at for a while, or much was.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unveil.server.access.tokens import Caller

IDLE_SECONDS = 300.0
LONGEST_SECONDS = 3600.0
MAX_ROWS = 2_000  # ids in one entry


@dataclass
class _View:
    begun: float
    last: float
    entry: str
    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[int, None] = field(default_factory=dict)


class Views:
    """Counts what callers look at, and enters it; safe to share between threads.

    Args:
        log: appends an entry to the audit log, and returns its hash.
        clock: seconds, never going back.
    """

    def __init__(self, log: Callable[[Mapping[str, Any]], str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[Caller, str], _View] = {}

    def seen(self, caller: Caller, gallery: str, *, what: str, rows: Sequence[int]) -> None:
        """Count something before it is shown.

        Args:
            caller: who looks.
            gallery: name of the gallery.
            what: "thumbnails", "listings", "rows" or "heat maps".
            rows: ids of the rows that it shows.

        Raises:
            UnveilError: the first entry cannot be made.
        """
        key = (caller, gallery)
        full = None
        with self._lock:
            now = self._clock()
            view = self._open.get(key)
            if view is not None and (
                len(view.rows) + len(rows) > MAX_ROWS or now - view.begun > LONGEST_SECONDS or _idle(view, now)
            ):
                full, view = self._open.pop(key), None
            if view is None:
                # With the lock: of two first requests one makes the entry, the other waits for it.
                hash = self._log(_entry(caller, gallery, details={"state": "begun"}, rows=()))
                view = self._open[key] = _View(now, now, hash)
            view.last = now
            view.counts[what] += 1
            view.rows.update(dict.fromkeys(rows))
        if full is not None:
            self._end(key, full)

    def tidy(self) -> None:
        """Enter the counts of those who have not looked at anything for a while.

        Raises:
            UnveilError: an entry cannot be made; it is tried again.
        """
        with self._lock:
            now = self._clock()
            ended = {key: view for key, view in self._open.items() if _idle(view, now)}
        self._close(ended)

    def close(self) -> None:
        """Enter all counts."""
        with self._lock:
            ended = dict(self._open)
        self._close(ended)

    def _close(self, ended: Mapping[tuple[Caller, str], _View]) -> None:
        for key, view in ended.items():
            self._end(key, view)
            with self._lock:
                if self._open.get(key) is view:
                    del self._open[key]

    def _end(self, key: tuple[Caller, str], view: _View) -> None:
        details = {**view.counts, "state": "done", "begun": view.entry, "seconds": round(view.last - view.begun)}
        self._log(_entry(*key, details=details, rows=view.rows))


def _idle(view: _View, now: float) -> bool:
    return now - view.last > IDLE_SECONDS


def _entry(
    caller: Caller, gallery: str, *, details: Mapping[str, Any], rows: Sequence[int] | Mapping[int, None]
) -> dict:
    return {
        "who": caller.name, "role": caller.role, "action": "view", "gallery": gallery, "results": list(rows),
        "details": dict(details),
    }  # fmt: skip
