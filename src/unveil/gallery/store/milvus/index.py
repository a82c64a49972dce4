"""First-stage vectors with the columns to filter by, in a Milvus server; it knows nothing of PostgreSQL."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from unveil.errors import MissingExtraError, UnveilError
from unveil.gallery.records import Filter, Item
from unveil.gallery.store.postgresql.items.rows import MAX_TAGS, MAX_TEXT

if TYPE_CHECKING:
    from pymilvus import MilvusClient

NEVER = 1e300  # a moment that no filter reaches: Milvus 2.3 has no nulls
MAX_HITS = 16_384  # Milvus' own limit
BYTES_AT_ONCE = 8_000_000
GRAPH = {"M": 16, "efConstruction": 200}
SEARCHED = 400  # ef, at least
MIN_INDEXED = 1_024  # rows of a segment; Milvus compares smaller ones one by one
SECONDS_BETWEEN_LOOKS = 0.5


class MilvusIndex:
    """One collection a gallery.

    Args:
        url: ``http://host:19530``, with ``user:password@`` where needed.
        seconds: how long an answer may take.
    """

    def __init__(self, url: str, seconds: float) -> None:
        try:
            from pymilvus import MilvusClient
        except ImportError as e:
            raise MissingExtraError("first-stage search on Milvus", "milvus") from e
        # It logs every error with traces; here each is explained once.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self.where = url.rpartition("@")[2].removeprefix("http://").removeprefix("https://")
        self._seconds = seconds
        self._ready: set[str] = set()
        with self._explained():
            self._client: MilvusClient = MilvusClient(uri=url, timeout=min(seconds, 10.0), dedicated=True)
            self._client.get_server_version(timeout=seconds)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def insert(self, name: str, items: Sequence[Item], *, ids: Sequence[int], vectors: np.ndarray) -> None:
        """Add rows; those that show nothing have no direction and are left out."""
        self._make(name, vectors.shape[1])
        rows = [
            _row(item, number, vector=vector)
            for item, number, vector in zip(items, ids, vectors.astype(np.float32), strict=True)
            if vector.any()
        ]
        size = max(1, BYTES_AT_ONCE // (4 * vectors.shape[1]))
        for first in range(0, len(rows), size):
            with self._explained():
                self._client.upsert(name, rows[first : first + size], timeout=self._seconds)

    def remove(self, name: str, ids: Sequence[int]) -> None:
        """Remove rows; the server forgets their bytes when it compacts."""
        with self._explained():
            if not len(ids) or not self._client.has_collection(name, timeout=self._seconds):
                return
            for first in range(0, len(ids), MAX_HITS):
                part = [int(n) for n in ids[first : first + MAX_HITS]]
                self._client.delete(name, filter=f"id in {part}", timeout=self._seconds)
            self._client.flush(name, timeout=self._seconds)
            self._client.compact(name, timeout=self._seconds)

    def drop(self, name: str) -> None:
        """Remove a collection."""
        self._ready.discard(name)
        with self._explained():
            self._client.drop_collection(name, timeout=self._seconds)

    def search(self, name: str, query: np.ndarray, *, where: Filter, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and cosine distances of the nearest rows; what this client added is among them at once."""
        self._make(name, len(query))
        top = min(top, MAX_HITS)
        with self._explained():
            (hits,) = self._client.search(
                name,
                [query.astype(np.float32).tolist()],
                filter=expression(where),
                limit=top,
                search_params={"metric_type": "COSINE", "params": {"ef": min(max(SEARCHED, 2 * top), 32_768)}},
                consistency_level="Session",
                timeout=self._seconds,
            )
        ids = np.array([hit["id"] for hit in hits], np.int64)
        return ids, np.array([1 - hit["distance"] for hit in hits], np.float32)

    def between(self, name: str, first: int, *, last: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids, ascending, and vectors of the rows from one id to another, both inclusive."""
        self._make(name, width)
        with self._explained():
            rows = self._client.query(
                name,
                filter=f"id >= {first} and id <= {last}",
                output_fields=["id", "coarse"],
                limit=MAX_HITS,
                consistency_level="Strong",
                timeout=self._seconds,
            )
        rows = sorted(rows, key=lambda row: row["id"])
        vectors = np.array([row["coarse"] for row in rows], np.float32).reshape(-1, width)
        return np.array([row["id"] for row in rows], np.int64), vectors

    def complete(self, name: str, width: int) -> None:
        """Wait until all rows are found by the graph, not by the coarser index that Milvus has for new rows."""
        self._make(name, width)
        with self._explained():
            self._client.flush(name, timeout=self._seconds)
            while not self._is_complete(name):
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _is_complete(self, name: str) -> bool:
        rows = sum(part.num_rows for part in self._client.list_persistent_segments(name, timeout=self._seconds))
        searched = self._client.list_loaded_segments(name, timeout=self._seconds)
        done = [part for part in searched if part.index_name or part.num_rows < MIN_INDEXED]
        return len(done) == len(searched) and sum(part.num_rows for part in done) >= rows

    def _make(self, name: str, width: int) -> None:
        if name in self._ready:
            return
        from pymilvus import DataType, MilvusClient

        text = 4 * MAX_TEXT + 1  # bytes
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("coarse", DataType.FLOAT_VECTOR, dim=width)
        for column in ("camera", "source", "person"):
            schema.add_field(column, DataType.VARCHAR, max_length=text)
        schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=MAX_TAGS, max_length=text)
        for column in ("moment", "until", "visible"):
            schema.add_field(column, DataType.DOUBLE)
        for column in ("crop", "alone"):
            schema.add_field(column, DataType.BOOL)
        index = MilvusClient.prepare_index_params()
        index.add_index("coarse", index_type="HNSW", metric_type="COSINE", params=GRAPH)
        with self._explained():
            if not self._client.has_collection(name, timeout=self._seconds):
                self._client.create_collection(name, schema=schema, index_params=index, timeout=self._seconds)
            self._client.load_collection(name, timeout=self._seconds)
        self._ready.add(name)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, OSError) as e:
            said = getattr(e, "message", None) or str(e)
            raise UnveilError(
                f"the Milvus server at {self.where} is down, too slow or refuses ({said}); PostgreSQL has all that "
                "was acknowledged: run it again when Milvus is up"
            ) from e


def _row(item: Item, number: int, *, vector: np.ndarray) -> dict[str, Any]:
    end = item.time if item.end is None else item.end
    return {
        "id": int(number),
        "coarse": vector,
        "camera": _text(item.camera),
        "source": _text(item.source),
        "person": _text(item.person),
        "tags": list(item.tags),
        "moment": NEVER if item.time is None else item.time,
        "until": -NEVER if end is None else end,
        "visible": -1.0 if item.visible is None else item.visible,
        "crop": item.kind == "crop",
        "alone": item.kind == "tracklet" or item.tracklet is None,
    }


def _text(label: str | None) -> str:
    """Return a label so that none at all differs from every label."""
    return "" if label is None else f"={label}"


def expression(where: Filter) -> str:
    """Return a filter in the language of Milvus."""
    parts = []
    for column, labels in (("camera", where.cameras), ("source", where.sources), ("person", where.persons)):
        if labels:
            parts.append(f"{column} in {_quoted([_text(label) for label in labels])}")
    if where.tags:
        parts.append(f"array_contains_all(tags, {_quoted(where.tags)})")
    if where.start is not None:
        parts.append(f"until >= {where.start!r}")
    if where.end is not None:
        parts.append(f"moment <= {where.end!r}")
    if where.min_visible is not None:
        parts.append(f"visible >= {where.min_visible!r}")
    if where.rows is not None:
        parts.append("crop == true" if where.rows == "crop" else "alone == true")
    if where.ids is not None:
        parts.append(f"id in {[int(number) for number in where.ids]}")
    return " and ".join(parts)


def _quoted(texts: Sequence[str]) -> str:
    return json.dumps(list(texts), ensure_ascii=False)
