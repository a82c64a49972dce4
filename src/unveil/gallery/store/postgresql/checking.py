"""Read a whole gallery and say what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unveil.errors import UnveilError
from unveil.gallery.records import Filter, GalleryInfo, first_stage_vectors
from unveil.gallery.store.postgresql.items import first_stage, reading

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.connections import Connections

ROWS_AT_ONCE = 5_000
HALF_ERROR = 2e-3  # of a unit vector that was kept in half precision
HALVES = {
    "rows without an image": "items i LEFT JOIN pictures x",
    "rows without a first-stage vector": "items i LEFT JOIN coarse x",
    "rows without vectors": "items i LEFT JOIN vectors x",
    "images without a row": "pictures i LEFT JOIN items x",
    "first-stage vectors without a row": "coarse i LEFT JOIN items x",
    "vectors without a row": "vectors i LEFT JOIN items x",
    "vectors of a second model without a row": "standby i LEFT JOIN items x",
    "keys without a row": "keys i LEFT JOIN items x",
    "rows without a key": "items i LEFT JOIN keys x",
}


def verify(connections: Connections, gallery: int, *, info: GalleryInfo) -> list[str]:
    """Return one sentence for everything that is wrong.

    Every image and vector is read, so that the server's page checksums (an own server has them) are tried too.
    """
    wrong = []
    with connections.transaction(3600.0) as cursor:
        for what, join in HALVES.items():
            cursor.execute(
                f"SELECT count(*) FROM {join} ON x.id = i.id AND x.bucket = i.bucket AND x.gallery = i.gallery "
                "WHERE i.gallery = %s AND x.id IS NULL",
                (gallery,),
            )
            wrong += _some(cursor.fetchone(), what)
        cursor.execute(
            "SELECT count(*) FROM items i JOIN keys k ON k.gallery = i.gallery AND k.id = i.id "
            "WHERE i.gallery = %s AND k.key <> i.key",
            (gallery,),
        )
        wrong += _some(cursor.fetchone(), "rows whose key differs from the list of keys")
        cursor.execute(
            "SELECT count(*) FILTER (WHERE kind = 'crop'), count(*) FILTER (WHERE kind = 'tracklet') "
            "FROM items WHERE gallery = %s",
            (gallery,),
        )
        if cursor.fetchone() != (info.crops, info.tracklets):
            wrong.append(f"the gallery says that it has {info.crops} crops and {info.tracklets} tracklets, it has not")
        cursor.execute("SELECT count(*) FROM wipes WHERE gallery = %s", (gallery,))
        wrong += _some(cursor.fetchone(), "partitions with bytes of removed rows: expire or delete again removes them")
    for read in (_images, _vectors):
        try:
            wrong += read(connections, gallery, info=info)
        except (UnveilError, ValueError) as e:
            wrong.append(str(e))
    return wrong


def _some(found: tuple[int] | None, what: str) -> list[str]:
    return [f"{found[0]} {what}"] if found and found[0] else []


def _images(connections: Connections, gallery: int, *, info: GalleryInfo) -> list[str]:
    with connections.transaction(3600.0) as cursor:
        cursor.execute(
            "SELECT count(*) FROM pictures WHERE gallery = %s AND "
            "(substr(thumbnail, 1, 2) <> '\\xffd8' OR md5(thumbnail) IS NULL)",
            (gallery,),
        )
        return _some(cursor.fetchone(), "images that are no JPEG")


def _vectors(connections: Connections, gallery: int, *, info: GalleryInfo) -> list[str]:
    width, bad = len(info.space.names) * info.space.dimension, 0
    with connections.transaction() as cursor:
        ids = reading.ids(cursor, gallery, where=Filter())
    for start in range(0, len(ids), ROWS_AT_ONCE):
        with connections.transaction() as cursor:
            asked = ids[start : start + ROWS_AT_ONCE]
            numbers, stored = first_stage.block(cursor, gallery, asked=asked, width=width)
            there, embedding = reading.embeddings(cursor, gallery, space=info.space, asked=numbers)
        expected = first_stage_vectors(embedding)
        bad += int((np.abs(stored[np.isin(numbers, there)] - expected).max(1) > HALF_ERROR).sum())
    return [f"{bad} rows whose first-stage vector is not that of their vectors"] if bad else []
