"""What tests do that watch other threads."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        threading.Event().wait(0.005)


@contextmanager
def on_warning(
    log: logging.Logger, number: int, act: Callable[[], object], *, about: object
) -> Iterator[list[logging.LogRecord]]:
    """Do something when so many warnings about something have come, in the thread that warns; give these warnings.

    On a busy machine others may come, about what is late as well.
    """
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.args or record.args[0] != about:
                return
            records.append(record)
            if len(records) == number:
                act()

    handler = Handler()
    log.addHandler(handler)
    try:
        yield records
    finally:
        log.removeHandler(handler)
