"""Searches and clips that are held for their callers, without what was removed from the gallery since.

A held search has thumbnails and vectors of rows, a clip shows one. Whoever removes rows may be another process, so the
store is asked before anything of them is given out, and now and then for all of them: what nobody asks for again must
go too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import Filter
from unveil.gallery.search.in_memory_index import InMemoryIndex
from unveil.gallery.search.records import SearchResult
from unveil.gallery.store.protocol import Store
from unveil.records import Embedding
from unveil.server.search.ttl_cache import TTLCache


@dataclass(frozen=True)
class Search:
    """A search that was answered: enough for its heat maps, its report and feedback on it.

    Args:
        gallery: name of the gallery.
        positives: of the query.
        images: small images of the query, ``(H, W, 3)`` uint8.
        found: the answer.
        rows: ids of rows of the gallery that the query was made of.
    """

    gallery: str
    positives: Embedding
    images: tuple[np.ndarray, ...]
    found: SearchResult
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class HeldClip:
    """A piece of a video that shows a row, to be played: gallery, id of the row, and the file."""

    gallery: str
    item: int
    data: bytes
    media_type: str


def clip_there(clip: HeldClip, store: Store) -> HeldClip | None:
    """Return a clip; ``None`` when its gallery or its row is gone.

    Raises:
        UnveilError: the store does not answer.
    """
    try:
        return clip if len(store.ids(clip.gallery, Filter(ids=(clip.item,)))) else None
    except DataError:  # no such gallery any more
        return None


def current(search: Search, store: Store) -> Search | None:
    """Return a search without hits that are gone; ``None`` when its gallery or a row of its query is.

    Raises:
        UnveilError: the store does not answer.
    """
    shown = [hit.item.id for hit in search.found.hits if hit.item.id is not None]
    try:
        there = set(store.ids(search.gallery, Filter(ids=(*shown, *search.rows))).tolist())
    except DataError:  # no such gallery any more
        return None
    if not there.issuperset(search.rows):
        return None
    if there.issuperset(shown):
        return search
    hits = tuple(hit for hit in search.found.hits if hit.item.id in there)
    return replace(search, found=replace(search.found, hits=hits))


class RemovalWatch:
    """Lets go of what any process removed from the galleries.

    Args:
        store: where the galleries are.
        searches: the searches that are held.
        clips: the clips that are held.
        in_memory: vectors in memory.
    """

    def __init__(
        self, store: Store, searches: TTLCache[Search], *, clips: TTLCache[HeldClip], in_memory: InMemoryIndex
    ) -> None:
        self._store = store
        self._searches = searches
        self._clips = clips
        self._in_memory = in_memory
        self._seen: dict[str, tuple[float, int]] = {}

    def look(self) -> None:
        """Let go of what was removed since the last look.

        Raises:
            UnveilError: the store does not answer.
        """
        infos = {info.name: info for info in self._store.galleries()}
        now = {name: (info.created, info.revision) for name, info in infos.items()}
        changed = {name for name, state in self._seen.items() if now.get(name) != state}
        for name in changed:
            if name in infos:
                self._in_memory.drop_removed(infos[name])
            else:
                self._in_memory.forget(name)
        self._searches.change(lambda held: current(held, self._store) if held.gallery in changed else held)
        self._clips.change(lambda held: clip_there(held, self._store) if held.gallery in changed else held)
        self._seen = now
