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
def on_warning(log: logging.Logger, number: int, act: Callable[[], object]) -> Iterator[list[logging.LogRecord]]:
    """Do something when so many warnings have come, in the thread that warns; give the warnings."""
    records: list[logging.LogRecord] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)
            if len(records) == number:
                act()

    handler = Handler()
    log.addHandler(handler)
    try:
        yield records
    finally:
        log.removeHandler(handler)
