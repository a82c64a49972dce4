"""Galleries past one machine: PostgreSQL keeps the truth, Milvus finds the nearest first-stage vectors.

Rows go to Milvus before PostgreSQL acknowledges them, and leave it after. So a kill in between leaves Milvus with rows
too many, never too few; a hit that PostgreSQL does not have is dropped, `verify` counts them, `expire` removes them.
Only a whole gallery leaves Milvus first, as nothing but PostgreSQL knows what it is called there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unveil.gallery.records import Filter, GalleryInfo, Item, first_stage_vectors
from unveil.gallery.store.milvus.index import MAX_HITS, MilvusIndex
from unveil.gallery.store.postgresql.connections import SECONDS_TO_ANSWER
from unveil.gallery.store.postgresql.galleries import find_gallery
from unveil.gallery.store.postgresql.items import reading
from unveil.gallery.store.postgresql.store import PostgresStore
from unveil.records import Embedding

if TYPE_CHECKING:
    import psycopg

ROWS_AT_ONCE = 4_000
HALF_ERROR = 2e-3  # PostgreSQL keeps halves, Milvus the floats they were made of
LAST_ID = 2**62


class MilvusStore(PostgresStore):
    """See `PostgresStore`.

    Args:
        address: gives the connection string of PostgreSQL.
        url: address of Milvus.
        seconds: how long a step may take.
    """

    finds_all = False  # Milvus shows new rows to others after some seconds

    def __init__(self, address: Callable[[], str], url: str, *, seconds: float = SECONDS_TO_ANSWER) -> None:
        self._index = MilvusIndex(url, seconds)
        super().__init__(address, seconds)

    def close(self) -> None:
        """Let go of all connections."""
        super().close()
        self._index.close()

    def drop(self, name: str) -> int:
        """Remove a gallery with everything in it but its audit log; return how many rows it had.

        Cut short, it leaves the gallery: drop it again, or `expire` it, which puts the vectors back into Milvus.
        """
        self._index.drop(self._collection(name)[0])
        return super().drop(name)

    def nearest(self, name: str, query: np.ndarray, *, where: Filter, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids and cosine distances of the rows nearest to a first-stage vector ``(C,)``."""
        if where.attributes:  # it knows none of them; PostgreSQL has the vectors too, and compares exactly
            return super().nearest(name, query, where=where, top=top)
        collection, info = self._collection(name)
        reading.check_query(query, _width(info))
        asked = top
        while True:
            ids, distances = self._index.search(collection, query, where=where, top=asked)
            there = np.isin(ids, self.ids(name, Filter(ids=tuple(ids.tolist()))))
            if there.sum() >= top or len(ids) < asked or asked >= MAX_HITS:
                return ids[there][:top], distances[there][:top]
            asked = min(2 * asked, MAX_HITS)

    def index(self, name: str, least: int = 0) -> bool:
        """Wait until the graph that Milvus makes of its own has all rows, however many; return ``True``."""
        collection, info = self._collection(name)
        self._index.complete(collection, _width(info))
        return True

    def switch_model(self, name: str) -> bool:
        """Let the second model's vectors answer; until it returns, Milvus still has some of the first."""
        done = super().switch_model(name)
        if done:
            self._align(name)
        return done

    def expire(self, name: str, now: float) -> int:
        """Remove rows older than the gallery keeps them, and bring Milvus in line with PostgreSQL."""
        gone = super().expire(name, now)
        self._align(name)
        return gone

    def _align(self, name: str) -> None:
        """Bring Milvus in line with PostgreSQL."""
        collection, _ = self._collection(name)
        for extra, missing in self._differences(name):
            self._index.remove(collection, extra.tolist())
            if len(missing):
                ids, embedding = self.embeddings(name, missing.tolist())
                rows = self.items(name, ids.tolist())
                self._index.insert(collection, rows, ids=ids.tolist(), vectors=first_stage_vectors(embedding))

    def verify(self, name: str) -> list[str]:
        """Return everything that is wrong with a gallery; empty when sound."""
        wrong = super().verify(name)
        differences = list(self._differences(name))
        for what, rows in zip(("too many", "missing or other"), zip(*differences, strict=True), strict=False):
            count = sum(len(ids) for ids in rows)
            if count:
                wrong.append(f"{count} first-stage vectors {what} in Milvus: expire puts it right")
        return wrong

    def _added(
        self, cursor: psycopg.Cursor, gallery: int, *, items: Sequence[Item], ids: Sequence[int], embedding: Embedding
    ) -> None:
        cursor.execute("SELECT mark FROM galleries WHERE id = %s", (gallery,))
        self._index.insert(_name(cursor.fetchone()), items, ids=ids, vectors=first_stage_vectors(embedding))

    def _removed(self, name: str, ids: Sequence[int]) -> None:
        self._index.remove(self._collection(name)[0], ids)

    def _collection(self, name: str) -> tuple[str, GalleryInfo]:
        with self._connections.transaction() as cursor:
            gallery, info = find_gallery(cursor, name)
            cursor.execute("SELECT mark FROM galleries WHERE id = %s", (gallery,))
            return _name(cursor.fetchone()), info

    def _differences(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Return, range after range of ids, those that only Milvus has, and those whose vector it lacks."""
        collection, info = self._collection(name)
        first = 0
        for block in self.blocks(name, self.ids(name, Filter()), size=ROWS_AT_ONCE):
            last = int(block.ids[-1])
            ids, vectors = self._index.between(collection, first, last=last, width=_width(info))
            shown = block.vectors.any(1)  # rows that show nothing are not in Milvus
            expected, stored = block.ids[shown], block.vectors[shown]
            both, here, there = np.intersect1d(expected, ids, return_indices=True)
            same = np.abs(stored[here] - vectors[there]).max(1, initial=0.0) <= HALF_ERROR
            yield np.setdiff1d(ids, expected), np.setdiff1d(expected, both[same])
            first = last + 1
        yield self._index.between(collection, first, last=LAST_ID, width=_width(info))[0], np.zeros(0, np.int64)


def _width(info: GalleryInfo) -> int:
    return len(info.space.names) * info.space.dimension


def _name(mark: tuple | None) -> str:
    assert mark is not None
    return f"unveil_{mark[0].hex}"
