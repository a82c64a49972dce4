"""What a server does now and then, though nobody asks: one thread for all of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

from unveil.errors import UnveilError

log = logging.getLogger("unveil.server")


class Housekeeping:
    """Calls functions again and again until it is closed, and once more then.

    A store that does not answer is asked again the next time.

    Args:
        tasks: function -> seconds between two calls.
    """

    def __init__(self, tasks: Mapping[Callable[[], None], float]) -> None:
        self._tasks = dict(tasks)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="housekeeping", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, when everything was done a last time."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        due = {task: time.monotonic() + seconds for task, seconds in self._tasks.items()}
        while not self._ended.wait(max(0.0, min(due.values()) - time.monotonic())):
            for task in [task for task, when in due.items() if when <= time.monotonic()]:
                _try(task)
                due[task] = time.monotonic() + self._tasks[task]
        for task in self._tasks:
            _try(task)


def _try(task: Callable[[], None]) -> None:
    try:
        task()
    except UnveilError as e:
        log.debug("%s: %s", task.__qualname__, e)
    except Exception:
        log.exception("%s failed", task.__qualname__)
