"""Read the first-stage vectors of many rows: in pieces that the server packs, unpacked by numpy, several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from unveil.gallery.records import Block
from unveil.gallery.store.postgresql.galleries import reading_gallery
from unveil.gallery.store.postgresql.items import binary, reading

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

PIECE_BYTES = 1 << 20  # what the server puts together at a time: larger pieces leave the processor's cache
READERS = 2  # connections at once: the server packs the rows of one while we unpack those of another


def blocks(connections: Connections, name: str, *, ids: np.ndarray, size: int) -> Iterator[Block]:
    """Return the first-stage vectors of rows, block after block; see `unveil.gallery.store.protocol.Store`."""
    rest = (ids[start : start + size] for start in range(0, len(ids), size))
    waiting: deque[Future[Block]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        while True:
            for asked in islice(rest, READERS + 1 - len(waiting)):
                waiting.append(pool.submit(_block, connections, name, asked=asked))
            if not waiting:
                return
            found = waiting.popleft().result()
            if len(found.ids):
                yield found


def _block(connections: Connections, name: str, *, asked: np.ndarray) -> Block:
    # A statement for each block: a slow reader blocks neither writers nor removals.
    with reading_gallery(connections, name) as (cursor, gallery, info):
        return Block(*block(cursor, gallery, asked=asked, width=len(info.space.names) * info.space.dimension))


def block(cursor: psycopg.Cursor, gallery: int, *, asked: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that are there, ascending ``(N,)`` int64, and their first-stage vectors ``(N, width)`` float32.

    Args:
        cursor: to read with.
        gallery: number of the gallery.
        asked: ascending ids. What lies between them is read too, so they should be neighbours.
        width: numbers in a vector.
    """
    columns = (reading.ID, (binary.HALF, width))
    size = max(1, PIECE_BYTES // binary.packed(columns).itemsize)
    # Ranges of ids that come from outside the inner query: the planner takes the index, whatever it knows of the table.
    cursor.execute(
        "SELECT (SELECT string_agg(int8send(c.id) || halfvec_send(c.coarse), ''::bytea) FROM coarse c "
        "WHERE c.gallery = %(gallery)s AND c.id BETWEEN r.first AND r.last) "
        "FROM unnest(%(first)s::bigint[], %(last)s::bigint[]) r(first, last)",
        {
            "gallery": gallery,
            "first": asked[::size].tolist(),
            "last": np.append(asked[size - 1 : -1 : size], asked[-1:]).tolist(),
        },
        binary=True,
    )
    pieces = [binary.unpack(columns, piece or b"") for (piece,) in cursor.fetchall()]
    if not pieces:
        return np.empty(0, np.int64), np.empty((0, width), np.float32)
    numbers = np.concatenate([piece["v0"] for piece in pieces], dtype=np.int64)
    vectors = np.concatenate([piece["v1"] for piece in pieces], dtype=np.float32)
    if np.array_equal(numbers, asked):
        return numbers, vectors
    # Periods lie one after the other, and their ids need not ascend together.
    order = np.argsort(numbers, kind="stable")
    order = order[np.isin(numbers[order], asked)]
    return numbers[order], vectors[order]
