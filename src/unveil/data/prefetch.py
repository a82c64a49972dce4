"""Files read and decoded by threads while what came before is in use: in order, so many ahead and no more.

A file that does not come, as on a network share that stalls, is named; it is waited for, and nothing else waits: Ctrl-C
ends at once. So the threads are not those of `concurrent.futures`, for which a process waits before it ends.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Generic, TypeVar

from unveil.data.file_reads import FileRead, read_of

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")
WAITING_PER_WORKER = 16
STALLED = 30.0  # seconds in which a file has not come, before it is named; then twice as many, and so on
LET_GO = 1.0  # seconds after which a read is not waited for any more by who stops
_changing = threading.Lock()
_clocks: dict[int, int] = {}  # of the processor time of each thread of `in_threads`
_ended = 0.0  # processor time of those that have ended, seconds


class _Task(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.future: Future[Result] = Future()
        self.thread: int | None = None

    def run(self, function: Callable[[Item], Result]) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        self.thread = threading.get_ident()
        try:
            result = function(self.item)
        except BaseException as e:
            self.future.set_exception(e)
        else:
            self.future.set_result(result)

    def result(self) -> Result:
        """Wait for what came of it; name the file that it waits for, where that does not come."""
        named: FileRead | None = None
        patience = STALLED
        while not self.future.done():
            read = read_of(self.thread)
            if read is not named:
                named, patience = read, STALLED
            left = STALLED if read is None else patience - read.seconds
            if left > 0:
                wait([self.future], timeout=left)
            elif read is not None:
                log.warning(
                    "%s has not come for %.0f s: does its disk or network share answer? It is waited for",
                    read.path,
                    read.seconds,
                )
                patience = 2 * max(patience, read.seconds)
        return self.future.result()


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    ahead: int | None = None,
) -> Generator[Result, None, None]:
    """Map in order by threads; decoding releases the interpreter lock. What the function raises comes in its turn.

    The threads end with the iterator: close it (`contextlib.closing`) where it may not be exhausted.

    Args:
        function: reads an item, with `unveil.data.file_reads`.
        items: what to read.
        workers: threads; all cores by default.
        ahead: results that may be under way or wait beyond the one in use; sixteen a thread by default.
    """
    workers = workers or os.cpu_count() or 1
    ahead = workers * WAITING_PER_WORKER if ahead is None else ahead
    tasks: SimpleQueue[_Task[Item, Result] | None] = SimpleQueue()
    waiting: deque[_Task[Item, Result]] = deque()
    threads: list[threading.Thread] = []
    try:
        for item in items:
            waiting.append(_Task(item))
            tasks.put(waiting[-1])
            if len(threads) < workers:
                threads.append(threading.Thread(target=_work, args=(tasks, function), name="prefetch", daemon=True))
                threads[-1].start()
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for task in waiting:
            task.future.cancel()
        for _ in threads:
            tasks.put(None)
        for thread in threads:
            _leave(thread)


def processor_seconds() -> float:
    """Return the processor time that threads of `in_threads` have taken so far; 0 where the system does not tell it."""
    with _changing:
        return _ended + sum(map(time.clock_gettime, _clocks.values()))


def _work(tasks: SimpleQueue[_Task[Item, Result] | None], function: Callable[[Item], Result]) -> None:
    global _ended
    this = threading.get_ident()
    if hasattr(time, "pthread_getcpuclockid"):
        with _changing:
            _clocks[this] = time.pthread_getcpuclockid(this)
    try:
        for task in iter(tasks.get, None):
            task.run(function)
            del task  # or its result would be kept while the next is waited for
    finally:
        with _changing:
            if this in _clocks:
                _ended += time.clock_gettime(_clocks.pop(this))


def _leave(thread: threading.Thread) -> None:
    """Wait until a thread has ended, if it does not hang in a read."""
    while thread.is_alive():
        read = read_of(thread.ident)
        if read is not None and read.seconds > LET_GO:
            return
        thread.join(LET_GO / 10)
