"""First-stage vectors of galleries in memory: read once, brought up to date when a gallery's revision has grown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from unveil.evaluation.search import nearest
from unveil.gallery.records import Block, Filter, GalleryInfo
from unveil.gallery.store.protocol import Store

LIMIT_BYTES = 4 << 30
REMEMBERED_FILTERS = 16
BLOCK_ROWS = 20_000
# Below this share of a block its allowed rows are gathered first; above it the whole block is multiplied.
GATHER_SHARE = 0.25


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
    """

    def __init__(self, store: Store, limit: int = LIMIT_BYTES) -> None:
        self.store = store
        self.limit = limit
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._filters: OrderedDict[tuple[str, float, int, Filter], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        # A gallery is read under a lock of its own: searches in others do not wait for it.
        self._reading: dict[str, threading.Lock] = {}

    def fits(self, info: GalleryInfo) -> bool:
        """Whether a gallery is searched in memory."""
        numbers = len(info.space.names) * info.space.dimension
        return (info.crops + info.tracklets) * numbers * 4 <= self.limit

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

    def nearest(self, info: GalleryInfo, query: np.ndarray, *, where: Filter, top: int) -> tuple[np.ndarray, int]:
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
            return allowed, 0
        if not self.fits(info):
            return self.store.nearest(info.name, query, where=where, top=top)[0], len(allowed)
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
            return np.empty(0, np.int64), 0
        # Ids ascend within a block and from block to block.
        together = np.concatenate(ids)
        return together[nearest(np.concatenate(distances)[None], top)[0]], len(allowed)

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
            # Dropped, and made again under the same name; or switched to another model's vectors.
            if old is not None and (old.created, old.generation) != (info.created, info.generation):
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
            same = copy is not None and (copy.created, copy.generation) == (info.created, info.generation)
            if copy is None or not same or copy.revision < info.revision:
                return None
            self._copies.move_to_end(info.name)
            return copy


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
