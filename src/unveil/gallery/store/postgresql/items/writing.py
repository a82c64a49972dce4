"""Put rows into the tables of a gallery, and take them out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import FIRST_DATE, Filter, Item, first_stage_vectors
from unveil.gallery.store.postgresql.desk import alert_rows, case_rows, group_rows
from unveil.gallery.store.postgresql.galleries import LARGEST_HALF
from unveil.gallery.store.postgresql.items import binary, partitions, rows
from unveil.records import Embedding

if TYPE_CHECKING:
    import psycopg

# Times below this are seconds since a recording began, not moments in history (1973).
HEAD: tuple[binary.Column, ...] = ((">i8", 0), (">i4", 0), (">i4", 0))  # id, gallery, bucket


def check_vectors(embedding: Embedding) -> None:
    """Refuse vectors that half precision cannot hold.

    Raises:
        DataError: a number is too large or not finite.
    """
    if not (np.abs(embedding.vectors) <= LARGEST_HALF).all() or not np.isfinite(embedding.visibility).all():
        raise DataError(f"vectors must be finite and at most {LARGEST_HALF:g}, visibility finite")


def insert(
    cursor: psycopg.Cursor, gallery: int, *, items: Sequence[Item], embedding: Embedding
) -> list[tuple[int, int]]:
    """Insert the rows whose key is new, with images and vectors; return their places in ``items`` and their ids."""
    wanted = [rows.period(item.time, item.end) for item in items]
    used = partitions.make_periods(cursor, gallery, wanted=wanted)
    cursor.execute(
        "INSERT INTO keys (gallery, key, bucket) SELECT %s, * FROM unnest(%s::text[], %s::int[]) "
        "ON CONFLICT DO NOTHING RETURNING key, id",
        (gallery, [item.key for item in items], [used[period] for period in wanted]),
    )
    numbers: dict[str, int] = dict(cursor.fetchall())
    # Of several rows with one key the first stays, as in the statement above.
    picked = [(i, numbers.pop(item.key)) for i, item in enumerate(items) if item.key in numbers]
    if not picked:
        return []
    new = [items[i] for i, _ in picked]
    ids = [number for _, number in picked]
    buckets = [used[wanted[i]] for i, _ in picked]
    now = time.time()
    with cursor.copy(f"COPY items ({rows.COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(rows.TYPES)
        for item, number, bucket in zip(new, ids, buckets, strict=True):
            copy.write_row(rows.to_row(item, number, gallery=gallery, bucket=bucket, now=now))
    with cursor.copy("COPY pictures (id, gallery, bucket, thumbnail) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(("int8", "int4", "int4", "bytea"))
        for item, number, bucket in zip(new, ids, buckets, strict=True):
            copy.write_row((number, gallery, bucket, item.thumbnail))
    kept = embedding.select([i for i, _ in picked])
    _copy_vectors(
        cursor,
        "coarse (id, gallery, bucket, coarse)",
        gallery=gallery,
        ids=ids,
        buckets=buckets,
        halves=first_stage_vectors(kept),
    )
    flat = kept.vectors.reshape(len(kept), -1)
    columns = "vectors (id, gallery, bucket, vectors, visibility)"
    _copy_vectors(cursor, columns, gallery=gallery, ids=ids, buckets=buckets, halves=flat, singles=kept.visibility)
    _count_in(cursor, gallery, new=new)
    return picked


def _copy_vectors(
    cursor: psycopg.Cursor,
    table: str,
    *,
    gallery: int,
    ids: list[int],
    buckets: list[int],
    halves: np.ndarray,
    singles: np.ndarray | None = None,
) -> None:
    columns: list[binary.Column] = [*HEAD, (binary.HALF, halves.shape[1])]
    values: list[Any] = [np.array(ids), gallery, np.array(buckets), halves]
    if singles is not None:
        columns.append((binary.SINGLE, singles.shape[1]))
        values.append(singles)
    with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(binary.pack(columns, values, rows=len(ids)))


def _count_in(cursor: psycopg.Cursor, gallery: int, *, new: Sequence[Item]) -> None:
    times = [t for item in new for t in (item.time, item.end) if t is not None]
    cursor.execute(
        "UPDATE galleries SET crops = crops + %s, tracklets = tracklets + %s, revision = nextval('revisions'), "
        "cameras = ARRAY(SELECT DISTINCT unnest(cameras || %s::text[]) ORDER BY 1), "
        "earliest = least(earliest, %s), latest = greatest(latest, %s) WHERE id = %s",
        (
            sum(item.kind == "crop" for item in new),
            sum(item.kind == "tracklet" for item in new),
            [c for c in {item.camera for item in new} if c is not None],
            min(times, default=None),
            max(times, default=None),
            gallery,
        ),
    )


def remove(cursor: psycopg.Cursor, gallery: int, *, where: Filter) -> list[int]:
    """Delete rows, crops of deleted tracklets, tracklets of deleted crops, feedback; note what must be rewritten.

    Returns:
        Ids of the rows that are gone.
    """
    sql, values = rows.condition(gallery, where)
    return _remove(cursor, gallery, sql=sql, values=values)


def remove_old(cursor: psycopg.Cursor, gallery: int, *, before: float) -> list[int]:
    """Delete rows that ended before a moment, or were added before it when their own time is no date."""
    sql, values = _old(gallery, before)
    return _remove(cursor, gallery, sql=sql, values=values)


def count_old(cursor: psycopg.Cursor, gallery: int, *, before: float) -> int:
    """Return how many rows `remove_old` would find."""
    sql, values = _old(gallery, before)
    found = cursor.execute(f"SELECT count(*) FROM items i WHERE {sql}", values).fetchone()
    return int(found[0]) if found else 0


def _old(gallery: int, before: float) -> tuple[str, dict[str, Any]]:
    sql = (
        "i.gallery = %(gallery)s AND CASE WHEN coalesce(i.until, i.moment) >= %(date)s "
        "THEN coalesce(i.until, i.moment) ELSE i.added END < %(before)s"
    )
    return sql, {"gallery": gallery, "before": before, "date": FIRST_DATE}


def _remove(cursor: psycopg.Cursor, gallery: int, *, sql: str, values: Mapping[str, Any]) -> list[int]:
    fields = "i.id, i.bucket, i.key, i.kind"
    cursor.execute(f"CREATE TEMP TABLE gone ON COMMIT DROP AS SELECT {fields} FROM items i WHERE {sql}", values)
    cursor.execute(
        f"INSERT INTO gone SELECT {fields} FROM items i JOIN gone t ON t.kind = 'tracklet' AND i.tracklet = t.key "
        "WHERE i.gallery = %s AND NOT EXISTS (SELECT FROM gone g WHERE g.id = i.id)",
        (gallery,),
    )
    # The vector and often the image of a tracklet are made of its crops: without one of them it must go. The crops
    # that are left stay by themselves.
    cursor.execute(
        f"WITH broken AS (INSERT INTO gone SELECT {fields} FROM items i WHERE i.gallery = %(gallery)s "
        "AND i.kind = 'tracklet' AND NOT EXISTS (SELECT FROM gone g WHERE g.id = i.id) AND i.key IN "
        "(SELECT c.tracklet FROM items c JOIN gone g ON g.id = c.id WHERE c.gallery = %(gallery)s AND c.kind = 'crop') "
        "RETURNING key) UPDATE items c SET tracklet = NULL FROM broken b WHERE c.gallery = %(gallery)s "
        "AND c.tracklet = b.key AND NOT EXISTS (SELECT FROM gone g WHERE g.id = c.id)",
        {"gallery": gallery},
    )
    alert_rows.forget_rows(cursor, gallery)
    for table in partitions.BY_TIME:
        cursor.execute(
            f"DELETE FROM {table} x USING gone g WHERE x.gallery = %s AND x.bucket = g.bucket AND x.id = g.id",
            (gallery,),
        )
    cursor.execute("DELETE FROM keys k USING gone g WHERE k.gallery = %s AND k.key = g.key", (gallery,))
    if cursor.rowcount:
        cursor.execute("DELETE FROM judgements j USING gone g WHERE j.gallery = %s AND j.item = g.id", (gallery,))
        cursor.execute(
            "UPDATE derived_models d SET removed = removed + (SELECT count(*) FROM gone g "
            "WHERE g.id <= d.last AND g.kind = 'crop') "
            "WHERE d.gallery = %s",
            (gallery,),
        )
        case_rows.forget_rows(cursor, gallery)
        group_rows.forget_rows(cursor, gallery)
        cursor.execute(
            f"INSERT INTO wipes SELECT DISTINCT %s::int, bucket FROM gone {partitions.NOTED_ANEW}", (gallery,)
        )
        cursor.execute(
            "UPDATE galleries SET (crops, tracklets, cameras, earliest, latest) = (SELECT "
            "count(*) FILTER (WHERE kind = 'crop'), count(*) FILTER (WHERE kind = 'tracklet'), "
            "coalesce(array_agg(DISTINCT camera ORDER BY camera) FILTER (WHERE camera IS NOT NULL), '{}'), "
            "min(moment), max(coalesce(until, moment)) FROM items WHERE gallery = %(gallery)s), "
            "revision = nextval('revisions') WHERE id = %(gallery)s",
            {"gallery": gallery},
        )
    cursor.execute("SELECT id FROM gone")
    return [number for (number,) in cursor.fetchall()]
