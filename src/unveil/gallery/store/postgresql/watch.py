"""Cuts connections that take too long: a server that was stopped keeps its client waiting for ever."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

SECONDS_BETWEEN_LOOKS = 0.25
# The server's own limit comes first; this one is for a server that does not even answer that.
GRACE = 1.0


class Watch:
    """One thread that looks at all connections in use; a timer for each of them would cost more than most answers."""

    def __init__(self) -> None:
        self._due: dict[threading.Event, tuple[float, psycopg.Connection]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def deadline(
        self, connection: psycopg.Connection, seconds: float | None, *, late: threading.Event
    ) -> Iterator[None]:
        """Cut the connection when the block takes longer, and set ``late``."""
        if seconds is None:
            yield
            return
        with self._lock:
            self._due[late] = (time.monotonic() + seconds + GRACE, connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="unveil store watch", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(late, None)

    def _look(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            with self._lock:
                now = time.monotonic()
                for late, (due, connection) in list(self._due.items()):
                    if now > due:
                        del self._due[late]
                        late.set()
                        _cut(connection)


def _cut(connection: psycopg.Connection) -> None:
    # It may have been closed meanwhile, which is as good.
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


WATCH = Watch()
