"""What the next step needs, made ready while a step is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


def one_ahead(load: Callable[[Item], Loaded], items: Iterable[Item]) -> Iterator[Loaded]:
    """Yield ``load(item)`` for each item in order, each loaded by a thread while the one before it is in use.

    Reading a step's crops from a store that is not in memory, pinning and copying them then takes no time of the steps.
    At most one result waits. An error of ``load`` is raised when its turn comes.
    """
    with ThreadPoolExecutor(1, "load") as loader:
        waiting = None
        for item in items:
            loaded, waiting = waiting, loader.submit(load, item)
            if loaded is not None:
                yield loaded.result()
        if waiting is not None:
            yield waiting.result()
