"""First-stage vectors of galleries in memory: read once, brought up to date when a gallery's revision has grown.

What takes long to read is read behind the searches: the store itself answers the first ones.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from unveil.errors import UnveilError
from unveil.evaluation.search import nearest
from unveil.gallery.records import Block, Filter, GalleryInfo
from unveil.gallery.search.records import Stage
from unveil.gallery.store.protocol import Store

LOG = logging.getLogger(__name__)
LIMIT_BYTES = 4 << 30
# What is not larger is read before it is searched: the store would not answer sooner.
READ_AT_ONCE_BYTES = 32 << 20
REMEMBERED_FILTERS = 16
BLOCK_ROWS = 20_000
# Below this share of a block its allowed rows are gathered first; above it the whole block is multiplied.
GATHER_SHARE = 0.25


class Nearest(NamedTuple):
    """What the first stage found.

    Attributes:
        ids: the nearest rows, nearest first ``(N,)`` int64.
        candidates: how many rows the filter let through.
        by: who searched: this process in its memory, or the store.
    """

    ids: np.ndarray
    candidates: int
    by: Stage


@dataclass(frozen=True)
class _Copy:
    """A gallery as it was at a revision; never changed, so that searches under way are not disturbed."""

    created: float
    generation: int
    revision: int
    blocks: tuple[Block, ...]

    @property
    def bytes(self) -> int:
        """Bytes of its vectors."""
        return sum(block.vectors.nbytes for block in self.blocks)


class InMemoryIndex:
    """Searches the first-stage vectors of galleries exactly, in memory; safe to use from several threads.

    Args:
        store: where the galleries are.
        limit: bytes of first-stage vectors in memory, of all galleries together. A gallery that needs more by itself is
            left to `Store.nearest`; of others the one longest unused makes room.
        at_once: bytes up to which a gallery is read before its first search. The first search in a larger one is the
            store's, and so are those that come while it is read: from the second on, as a command makes only one.
    """

    def __init__(self, store: Store, limit: int = LIMIT_BYTES, *, at_once: int = READ_AT_ONCE_BYTES) -> None:
        self.store = store
        self.limit = limit
        self.at_once = at_once
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._filters: OrderedDict[tuple[str, float, int, Filter], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        # A gallery is read under a lock of its own: searches in others do not wait for it.
        self._reading: dict[str, threading.Lock] = {}
        self._searched: set[str] = set()  # large galleries that the store has answered for
        self._behind: set[str] = set()  # those that are read behind the searches

    def allowed(self, info: GalleryInfo, where: Filter) -> np.ndarray:
        """Return the ids that a filter lets through, ascending ``(N,)`` int64; remembered until the gallery changes."""
        key = (info.name, info.created, info.revision, where)
        with self._lock:
            if key in self._filters:
                self._filters.move_to_end(key)
                return self._filters[key]
        found = self.store.ids(info.name, where)
        with self._lock:
            self._filters[key] = found
            while len(self._filters) > REMEMBERED_FILTERS:
                self._filters.popitem(last=False)
        return found

    def nearest(self, info: GalleryInfo, query: np.ndarray, *, where: Filter, top: int) -> Nearest:
        """Return the ids nearest to a first-stage vector, and how many rows the filter let through.

        Args:
            info: the gallery as it is now.
            query: ``(C,)`` unit vector.
            where: which rows take part; looked at first.
            top: how many ids to return at most; equal distances in the order of ids.

        Raises:
            UnveilError: the store does not answer.
        """
        allowed = self.allowed(info, where)
        if not len(allowed):
            return Nearest(allowed, 0, "memory")
        if self._is_left_to_the_store(info):
            # Asked for less, the store would look up every row's camera and time.
            narrower = where if len(allowed) < info.crops + info.tracklets else Filter()
            found = self.store.nearest(info.name, query, where=narrower, top=top)[0]
            return Nearest(found[np.isin(found, allowed)], len(allowed), "store")
        copy = self._current(info)
        ids, distances = [], []
        for block in copy.blocks:
            rows = _rows(block.ids, allowed)
            if not len(rows):
                continue
            if len(rows) == len(block.ids):
                distances.append(1 - block.vectors @ query)
            elif len(rows) < GATHER_SHARE * len(block.ids):
                distances.append(1 - block.vectors[rows] @ query)
            else:
                distances.append(1 - (block.vectors @ query)[rows])
            ids.append(block.ids[rows])
        if not ids:
            return Nearest(np.empty(0, np.int64), 0, "memory")
        # Ids ascend within a block and from block to block.
        together = np.concatenate(ids)
        return Nearest(together[nearest(np.concatenate(distances)[None], top)[0]], len(allowed), "memory")

    def forget(self, name: str) -> None:
        """Let go of a gallery's vectors."""
        with self._lock:
            self._copies.pop(name, None)

    def drop_removed(self, info: GalleryInfo) -> None:
        """Let go of the vectors of rows that were removed, if the gallery is in memory."""
        with self._lock:
            there = info.name in self._copies
        if there:
            self._current(info)

    def _is_left_to_the_store(self, info: GalleryInfo) -> bool:
        size = (info.crops + info.tracklets) * len(info.space.names) * info.space.dimension * 4
        if size > self.limit:
            return True
        if size <= self.at_once or not self.store.finds_all:
            return False
        with self._lock:
            if _is_of(self._copies.get(info.name), info):
                return False  # what was added since is read soon
            again = info.name in self._searched
            self._searched.add(info.name)
            if again and info.name not in self._behind:
                self._behind.add(info.name)
                # It may be left behind: a process that ends does not wait for what it will not search.
                threading.Thread(target=self._read_behind, args=(info,), name=f"read {info.name}", daemon=True).start()
        return True

    def _read_behind(self, info: GalleryInfo) -> None:
        try:
            self._current(info)
        except UnveilError as error:
            LOG.warning("gallery %r could not be read, the store goes on searching: %s", info.name, error)
        finally:
            with self._lock:
                self._behind.discard(info.name)

    def _current(self, info: GalleryInfo) -> _Copy:
        copy = self._kept(info)
        if copy is not None:
            return copy
        with self._lock:
            reading = self._reading.setdefault(info.name, threading.Lock())
        with reading:
            copy = self._kept(info)  # somebody else has read it meanwhile
            if copy is not None:
                return copy
            with self._lock:
                old = self._copies.get(info.name)
            if not _is_of(old, info):
                old = None
            there = self.store.ids(info.name, Filter())
            blocks = () if old is None else _without(old.blocks, there)
            last = int(blocks[-1].ids[-1]) if blocks else 0
            new = tuple(self.store.blocks(info.name, there[there > last]))
            copy = _Copy(info.created, info.generation, info.revision, _merged((*blocks, *new)))
            if self.store.info(info.name).generation != info.generation:
                return copy  # switched while it was read: of this search only, which the searcher does again
            with self._lock:
                self._copies[info.name] = copy
                self._copies.move_to_end(info.name)
                while sum(c.bytes for c in self._copies.values()) > self.limit and len(self._copies) > 1:
                    self._copies.popitem(last=False)
            return copy

    def _kept(self, info: GalleryInfo) -> _Copy | None:
        """Return the copy in memory if it is the gallery as it is now, or newer than we know."""
        with self._lock:
            copy = self._copies.get(info.name)
            if copy is None or not _is_of(copy, info) or copy.revision < info.revision:
                return None
            self._copies.move_to_end(info.name)
            return copy


def _is_of(copy: _Copy | None, info: GalleryInfo) -> bool:
    """Whether a copy is of this gallery: not of one that was dropped before, nor of another model's vectors."""
    return copy is not None and (copy.created, copy.generation) == (info.created, info.generation)


def _rows(ids: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return which of the ascending ``ids`` are among the ascending ``allowed`` ones."""
    part = allowed[np.searchsorted(allowed, ids[0]) : np.searchsorted(allowed, ids[-1], "right")]
    if np.array_equal(part, ids):
        return np.arange(len(ids))
    rows = np.searchsorted(ids, part)
    return rows[ids[rows] == part]


def _without(blocks: tuple[Block, ...], there: np.ndarray) -> tuple[Block, ...]:
    """Return the blocks without rows that are gone, so that what was deleted is in no memory either."""
    kept = []
    for block in blocks:
        stays = np.isin(block.ids, there, assume_unique=True)
        if stays.all():
            kept.append(block)
        elif stays.any():
            kept.append(Block(block.ids[stays], block.vectors[stays]))
    return tuple(kept)


def _merged(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """Return neighbouring small blocks as one: a gallery that grows row by row would else become a list of rows."""
    out: list[Block] = []
    for block in blocks:
        if out and len(out[-1].ids) + len(block.ids) <= BLOCK_ROWS:
            ids = np.concatenate([out[-1].ids, block.ids])
            out[-1] = Block(ids, np.concatenate([out[-1].vectors, block.vectors]))
        else:
            out.append(block)
    return tuple(out)
