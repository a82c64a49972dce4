"""Progress of long steps: a live bar with ETA on a terminal, a line now and then elsewhere, silence in a library."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
Observer = Callable[[str, int, int | None], None]
_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)
SECONDS_BETWEEN_LINES = 10.0
_shown = False


def show_progress(*, on: bool = True) -> None:
    """Switch progress on; the command line does this, importing the library does not."""
    global _shown
    _shown = on


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Tell a function how far long steps of this thread are, within a block.

    Args:
        observer: called before each item, and while a video gives none, with what is done, how many items are, and how
            many there will be (None where that is not known). It may wait, so that the step is paused; what it raises
            ends the step.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def still(what: str, done: int, *, total: int | None = None) -> None:
    """Tell the function of `observed`, if there is one, how far a step is that waits for its next item.

    Args:
        what: as `track` was told.
        done: how many items are.
        total: how many there will be.
    """
    if (observer := _observer.get()) is not None:
        observer(what, done, total)


def track(items: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Yield the items while showing how far they are, on standard error.

    Args:
        items: what to go through.
        what: short description, for example "decoding".
        total: number of items, when ``len(items)`` is not known.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    observer = _observer.get()
    if observer is not None:
        for done, item in enumerate(items):
            observer(what, done, total)
            yield item
    elif not _shown:
        yield from items
    elif sys.stderr.isatty():
        yield from _bar(items, what, total=total)
    else:
        yield from _lines(items, what, total=total)


@contextmanager
def track_bytes(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Give a function that shows how many bytes of how many (None where that is not known) have come.

    Args:
        what: short description, for example "resnet50".
    """
    if not _shown:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with _progress("DownloadColumn", "TransferSpeedColumn") as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _byte_lines(what)


def _byte_lines(what: str) -> Callable[[int, int | None], None]:
    last = time.monotonic()

    def show(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            of = f" of {total / 1e6:.1f}" if total else ""
            print(f"{what}: {done / 1e6:.1f}{of} MB", file=sys.stderr, flush=True)  # noqa: T201

    return show


def _bar(items: Iterable[T], what: str, *, total: int | None) -> Iterator[T]:
    with _progress("MofNCompleteColumn", "TimeElapsedColumn") as bar:
        yield from bar.track(items, total=total, description=what)


def _progress(*columns: str) -> Progress:
    """Return a live bar with these columns of rich between the bar and the time that is left."""
    from rich import progress  # takes as long to load as the rest of `unveil --help`
    from rich.console import Console

    shown = [progress.TextColumn("{task.description}", markup=False), progress.BarColumn()]
    shown += [getattr(progress, name)() for name in (*columns, "TimeRemainingColumn")]
    return progress.Progress(*shown, console=Console(stderr=True), transient=True)


def _lines(items: Iterable[T], what: str, *, total: int | None) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            left = f", {(now - start) / done * (total - done):.0f} s left" if total else ""
            print(f"{what}: {done}{f'/{total}' if total else ''}{left}", file=sys.stderr, flush=True)  # noqa: T201
