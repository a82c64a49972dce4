"""Files that are read, each noted while it lasts, so that whoever waits can say what for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, eq=False)
class FileRead:
    """A file that a thread is reading.

    Args:
        path: of the file.
        began: when, by the monotonic clock, seconds.
    """

    path: Path
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has lasted."""
        return time.monotonic() - self.began


_under_way: dict[int, FileRead] = {}  # by thread


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raises OSError as `Path.read_bytes` does."""
    with reading(path):
        return path.read_bytes()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Note that this thread asks the file system for a file within the block. Blocks do not nest."""
    thread = threading.get_ident()
    _under_way[thread] = FileRead(path)
    try:
        yield
    finally:
        del _under_way[thread]


def read_of(thread: int | None) -> FileRead | None:
    """Return what a thread is reading, ``None`` where it reads nothing."""
    return None if thread is None else _under_way.get(thread)


def longest_read() -> float:
    """Return how long the longest read that is under way has lasted, seconds."""
    return max((read.seconds for read in list(_under_way.values())), default=0.0)
