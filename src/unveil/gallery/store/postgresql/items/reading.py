"""Read rows and vectors of a gallery; vectors come in PostgreSQL's binary form, which numpy reads in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import CropPlace, EmbeddingSpace, Filter, Item
from unveil.gallery.store.postgresql import hnsw
from unveil.gallery.store.postgresql.items import binary, rows
from unveil.records import Embedding

if TYPE_CHECKING:
    import psycopg

ID: binary.Column = (">i8", 0)
MAX_FOUND = 10_000
MAX_ASKED = 10_000  # rows of the engine's own search


def find(cursor: psycopg.Cursor, gallery: int, *, where: Filter, limit: int, after: int) -> list[Item]:
    """Return rows by ascending id, those with an id greater than ``after``."""
    sql, values = rows.condition(gallery, where)
    cursor.execute(
        f"SELECT {rows.ITEM} FROM items i JOIN pictures p ON p.id = i.id AND p.bucket = i.bucket "
        f"AND p.gallery = i.gallery WHERE {sql} AND i.id > %(after)s ORDER BY i.id LIMIT %(limit)s",
        {**values, "after": after, "limit": min(limit, MAX_FOUND)},
    )
    return [rows.to_item(row) for row in cursor.fetchall()]


def surest(cursor: psycopg.Cursor, gallery: int, *, where: Filter, limit: int) -> list[Item]:
    """Return rows, those first of which the attributes that the filter asks for are surest, then the earliest."""
    sql, values = rows.condition(gallery, where)
    cursor.execute(
        f"SELECT {rows.ITEM} FROM items i JOIN pictures p ON p.id = i.id AND p.bucket = i.bucket "
        f"AND p.gallery = i.gallery WHERE {sql} ORDER BY {rows.surest_first(where)} LIMIT %(limit)s",
        {**values, "limit": min(limit, MAX_FOUND)},
    )
    return [rows.to_item(row) for row in cursor.fetchall()]


def crops_of(cursor: psycopg.Cursor, gallery: int, *, tracklet: str) -> list[Item]:
    """Return the crops of a tracklet, which is given by its key, by ascending id."""
    cursor.execute(
        f"SELECT {rows.ITEM} FROM items i JOIN pictures p ON p.id = i.id AND p.bucket = i.bucket "
        "AND p.gallery = i.gallery WHERE i.gallery = %s AND i.tracklet = %s AND i.kind = 'crop' ORDER BY i.id LIMIT %s",
        (gallery, tracklet, MAX_FOUND),
    )
    return [rows.to_item(row) for row in cursor.fetchall()]


def crop_places(cursor: psycopg.Cursor, gallery: int, *, limit: int, after: int) -> list[CropPlace]:
    """Return where crops of videos were cut out, by ascending id, those with an id greater than ``after``."""
    cursor.execute(
        "SELECT id, key, frame, box FROM items WHERE gallery = %s AND kind = 'crop' AND frame IS NOT NULL "
        "AND box IS NOT NULL AND id > %s ORDER BY id LIMIT %s",
        (gallery, after, limit),
    )
    return [CropPlace(number, key, frame, tuple(box)) for number, key, frame, box in cursor.fetchall()]


def ids(cursor: psycopg.Cursor, gallery: int, *, where: Filter) -> np.ndarray:
    """Return the ids of the rows that a filter lets through, ascending ``(N,)`` int64."""
    sql, values = rows.condition(gallery, where)
    table = f"SELECT i.id FROM items i WHERE {sql}"
    found = _records(cursor, "int8send(id)", table=table, values=values, columns=(ID,))["v0"]
    # In the order in which they lie most ascend already, which the server does not know.
    return np.sort(found.astype(np.int64), kind="stable")


def embeddings(
    cursor: psycopg.Cursor,
    gallery: int,
    *,
    space: EmbeddingSpace,
    asked: Sequence[int] | np.ndarray,
    table: Literal["vectors", "standby"] = "vectors",
) -> tuple[np.ndarray, Embedding]:
    """Return the ids that are there, in the order asked for, and their vectors as float32."""
    parts = len(space.names)
    columns = (ID, (binary.HALF, parts * space.dimension), (binary.SINGLE, parts))
    wanted = np.array(rows.numbers(asked), np.int64)
    fields = "int8send(id) || halfvec_send(vectors) || vector_send(visibility)"
    rows_of = f"SELECT * FROM {table} WHERE gallery = %(gallery)s AND id = ANY(%(ids)s) ORDER BY id"
    found = _records(
        cursor, fields, table=rows_of, values={"gallery": gallery, "ids": wanted.tolist()}, columns=columns
    )
    there = found["v0"].astype(np.int64)
    wanted = wanted[np.isin(wanted, there)]
    order = np.searchsorted(there, wanted)
    vectors = found["v1"][order].astype(np.float32).reshape(-1, parts, space.dimension)
    visibility = found["v2"][order].astype(np.float32)
    return wanted, Embedding(vectors, visibility, space.names, space.metric, space.weights)


def check_query(query: np.ndarray, width: int) -> None:
    """Refuse what is no first-stage vector of a gallery.

    Raises:
        DataError: another length, or it has no direction.
    """
    if query.shape != (width,) or not np.isfinite(query).all() or not query.any():
        raise DataError(f"expected {width} finite numbers that are not all zero as a query, got {query.shape}")


def nearest(
    cursor: psycopg.Cursor, gallery: int, *, query: np.ndarray, where: Filter, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and cosine distances of the nearest rows: by the index where there is one, else exactly."""
    query = np.asarray(query, np.float32)
    cursor.execute(f"SET LOCAL hnsw.ef_search = {hnsw.searched(cursor, gallery)}")
    # Goes on in the index until there are as many rows as asked for, and the filter has let them through.
    cursor.execute("SET LOCAL hnsw.iterative_scan = strict_order")
    # Of the gallery's own tables: of all galleries' the planner expects one row in two hundred, and sorts those.
    table, condition = f"coarse_{gallery} c", "true"
    values: dict[str, Any] = {}
    if where != Filter():
        table += f" JOIN items_{gallery} i ON i.id = c.id AND i.bucket = c.bucket"
        condition, values = rows.condition(gallery, where)
    width = f"halfvec({len(query)})"
    distance = f"(c.coarse::{width}) <=> %(query)s::{width}"
    cursor.execute(
        f"SELECT c.id, {distance} AS distance FROM {table} WHERE {condition} ORDER BY {distance} LIMIT %(top)s",
        {**values, "query": "[" + ",".join(f"{x:.7g}" for x in query.tolist()) + "]", "top": min(top, MAX_ASKED)},
    )
    found = np.array(cursor.fetchall(), np.float64).reshape(-1, 2)
    # A row that shows nothing has no direction, so no distance.
    found = found[~np.isnan(found[:, 1])]
    return found[:, 0].astype(np.int64), found[:, 1].astype(np.float32)


def _records(
    cursor: psycopg.Cursor, fields: str, *, table: str, values: dict[str, Any], columns: Sequence[binary.Column]
) -> np.ndarray:
    """Return records of rows of fixed size, sent as one value: a row by itself costs more than its bytes."""
    sql = f"SELECT string_agg({fields}, ''::bytea) FROM ({table}) rows"
    cursor.execute(sql, values, binary=True)
    found = cursor.fetchone()
    return binary.unpack(columns, found[0] if found and found[0] is not None else b"")
