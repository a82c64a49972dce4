"""Between records and SQL: galleries."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from unveil.errors import DataError, nearest
from unveil.gallery.records import EmbeddingSpace, GalleryInfo, Standby

if TYPE_CHECKING:
    import psycopg

    from unveil.gallery.store.postgresql.connections import Connections

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
MAX_NUMBERS = 16_000  # in one halfvec
LARGEST_HALF = 65_504.0
INFO = (
    "id, name, space, crops, tracklets, cameras, earliest, latest, revision, keep, calibration, created, generation, "
    "standby"
)
GALLERY = f"SELECT {INFO} FROM galleries WHERE name = %(name)s"


@contextmanager
def reading_gallery(connections: Connections, name: str) -> Iterator[tuple[psycopg.Cursor, int, GalleryInfo]]:
    """Give a cursor to read with, number and record of a gallery; DataError when there is none of that name."""
    with connections.reading(GALLERY, {"name": name}) as cursor:
        yield cursor, *_found(cursor, name)


def find_gallery(cursor: psycopg.Cursor, name: str, *, lock: bool = False) -> tuple[int, GalleryInfo]:
    """Return number and record of a gallery; ``lock`` keeps other writers of it waiting.

    Raises:
        DataError: there is none of that name.
    """
    cursor.execute(GALLERY + (" FOR NO KEY UPDATE" if lock else ""), {"name": name})
    return _found(cursor, name)


def _found(cursor: psycopg.Cursor, name: str) -> tuple[int, GalleryInfo]:
    found = cursor.fetchone()
    if found is None:
        cursor.execute("SELECT name FROM galleries ORDER BY name")
        known = [other for (other,) in cursor.fetchall()]
        there = f"there are: {', '.join(known[:10])}" if known else "there is none yet"
        raise DataError(f"there is no gallery {name!r}{nearest(name, known)}; {there}")
    return to_info(found)


def to_info(row: tuple[Any, ...]) -> tuple[int, GalleryInfo]:
    """Return number and record of a gallery from the columns `INFO`."""
    number, name, space, crops, tracklets, cameras, start, end, revision, retention, calibration, created, *models = row
    numbers = (crops, tracklets, tuple(cameras), start, end, revision, retention, calibration, created)
    generation, second = models
    standby = None if second is None else Standby(**{**second, "space": to_space(second["space"])})
    return number, GalleryInfo(name, to_space(space), *numbers, generation=generation, standby=standby)


def to_space(told: Mapping[str, Any]) -> EmbeddingSpace:
    """Return an embedding space as it is stored in JSON."""
    return EmbeddingSpace(**{**told, "names": tuple(told["names"]), "weights": tuple(told["weights"])})


def insert_gallery(
    cursor: psycopg.Cursor, name: str, *, space: EmbeddingSpace, retention_seconds: float | None
) -> int | None:
    """Insert an empty gallery; return its number, ``None`` when there is one of that name already.

    Raises:
        DataError: the name is none, or vectors of the space do not fit into a row.
    """
    if not NAME.fullmatch(name):
        raise DataError(f"a gallery's name has 1 to 63 letters, digits, '-' and '_', got {name!r}")
    numbers = len(space.names) * space.dimension
    if not 0 < numbers <= MAX_NUMBERS:
        raise DataError(f"a row of a gallery has at most {MAX_NUMBERS} numbers, this model gives {numbers}")
    cursor.execute(
        "INSERT INTO galleries (name, space, keep, created) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (name) DO NOTHING RETURNING id",
        (name, json.dumps(dataclasses.asdict(space)), checked_retention(retention_seconds), time.time()),
    )
    made = cursor.fetchone()
    return None if made is None else int(made[0])


def checked_retention(retention_seconds: float | None) -> float | None:
    """Return how long rows are kept.

    Raises:
        DataError: it is no positive number of seconds.
    """
    if retention_seconds is not None and not 0 < retention_seconds < float("inf"):
        raise DataError(f"rows are kept for more than 0 seconds, got {retention_seconds}")
    return retention_seconds


def shape(space: EmbeddingSpace) -> tuple[Any, ...]:
    """Return what two spaces must share for their rows to be in one gallery."""
    return space.fingerprint, space.names, space.dimension, space.metric, space.weights or (1.0,) * len(space.names)
