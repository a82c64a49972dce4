"""Between records and SQL: rows of the table of items, and the conditions that a filter becomes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unveil.attributes.records import Attributes
from unveil.errors import DataError
from unveil.gallery.records import Filter, Item

PERIOD = 30 * 86_400  # seconds in one partition
OTHER = -(2**31)  # the partition of rows without a time, and of those that would make too many partitions
MAX_PERIODS = 120
MAX_TEXT = 4_000
MAX_KEY = 200
MAX_TAGS = 100
MAX_THUMBNAIL = 1_000_000  # bytes
COLUMNS = (
    "id, gallery, bucket, key, kind, source, camera, moment, until, person, tracklet, frame, box, tags, visible, "
    "quality, crops, added, attributes"
)
TYPES = (
    *("int8", "int4", "int4", "text", "text", "text", "text", "float8", "float8", "text", "text", "int8", "int4[]"),
    *("text[]", "float8", "float8", "int4", "float8", "jsonb"),
)


def check(item: Item) -> None:
    """Refuse a row that the store cannot keep as it is.

    Raises:
        DataError: a text that is too long or has a zero byte, a number that is not finite, an image that is too big.
    """
    texts = {"key": item.key, "source": item.source, "camera": item.camera, "person": item.person}
    texts |= {"tracklet": item.tracklet} | {f"tag {i}": tag for i, tag in enumerate(item.tags)}
    for name, text in texts.items():
        if text is not None and ("\0" in text or len(text) > MAX_TEXT):
            raise DataError(f"{name} of row {item.key[:40]!r}: at most {MAX_TEXT} characters, none of them zero")
    if not 0 < len(item.key) <= MAX_KEY or len(item.tracklet or "") > MAX_KEY:
        raise DataError(f"a key has 1 to {MAX_KEY} characters, got {len(item.key)}: {item.key[:40]!r}")
    if len(item.tags) > MAX_TAGS or not 0 < len(item.thumbnail) <= MAX_THUMBNAIL:
        raise DataError(
            f"row {item.key!r}: at most {MAX_TAGS} tags (got {len(item.tags)}) and an image of 1 to "
            f"{MAX_THUMBNAIL} bytes (got {len(item.thumbnail)})"
        )
    for name in ("time", "end", "visible", "quality"):
        value = getattr(item, name)
        if value is not None and not math.isfinite(value):
            raise DataError(f"{name} of row {item.key!r} is no number: {value}")
    if item.end is not None and (item.time is None or item.end < item.time):
        raise DataError(f"row {item.key!r} ends ({item.end}) before it starts ({item.time})")


def period(time: float | None, end: float | None = None) -> int:
    """Return the partition of a moment; what lasts longer than a period has none of its own."""
    if time is None or not abs(time) < 1e12 or (end is not None and end - time > PERIOD):
        return OTHER
    return math.floor(time / PERIOD)


def to_row(item: Item, number: int, *, gallery: int, bucket: int, now: float) -> tuple[Any, ...]:
    """Return the values of `COLUMNS`."""
    return (
        *(number, gallery, bucket, item.key, item.kind, item.source, item.camera, item.time, item.end, item.person),
        *(item.tracklet, item.frame, None if item.box is None else list(item.box), list(item.tags), item.visible),
        *(item.quality, item.crops, now, None if item.attributes is None else item.attributes.to_dict()),
    )


ITEM = (
    "i.id, i.key, i.kind, p.thumbnail, i.source, i.camera, i.moment, i.until, i.person, i.tracklet, i.frame, i.box, "
    "i.tags, i.visible, i.quality, i.crops, i.attributes"
)


def to_item(row: tuple[Any, ...]) -> Item:
    """Return the item of the columns `ITEM`."""
    number, key, kind, thumbnail, source, camera, time, end, person, tracklet, frame, box, tags, *more = row
    *rest, looks = more
    return Item(
        *(key, kind, bytes(thumbnail), source, camera, time, end, person, tracklet, frame),
        *(None if box is None else tuple(box), tuple(tags), *rest, number),
        attributes=None if looks is None else Attributes.from_dict(looks),
    )


def condition(gallery: int, where: Filter) -> tuple[str, dict[str, Any]]:
    """Return a filter as SQL over the table of items ``i``, and its parameters."""
    parts = ["i.gallery = %(gallery)s"]
    values: dict[str, Any] = {"gallery": gallery}
    given: dict[str, tuple[str, Any]] = {
        "cameras": ("i.camera = ANY(%(cameras)s)", list(where.cameras)),
        "tags": ("i.tags @> %(tags)s", list(where.tags)),
        "sources": ("i.source = ANY(%(sources)s)", list(where.sources)),
        "persons": ("i.person = ANY(%(persons)s)", list(where.persons)),
    }
    for name, (sql, value) in given.items():
        if value:
            parts.append(sql)
            values[name] = value
    if where.start is not None:
        parts.append("coalesce(i.until, i.moment) >= %(start)s AND (i.bucket = %(other)s OR i.bucket >= %(first)s)")
        # A row may have begun one period earlier: it lasts no longer than one.
        values |= {"start": where.start, "first": max(_bucket(where.start) - 1, OTHER)}
    if where.end is not None:
        parts.append("i.moment <= %(end)s AND (i.bucket = %(other)s OR i.bucket <= %(last)s)")
        values |= {"end": where.end, "last": _bucket(where.end)}
    if where.start is not None or where.end is not None:
        values["other"] = OTHER
    if where.min_visible is not None:
        parts.append("i.visible >= %(visible)s")
        values["visible"] = where.min_visible
    if where.rows == "tracklet":
        parts.append("(i.kind = 'tracklet' OR i.tracklet IS NULL)")
    elif where.rows == "crop":
        parts.append("i.kind = 'crop'")
    if where.attributes:
        sql, told = looks_like(where)
        parts.append(sql)
        values |= told
    if where.ids is not None:
        parts.append("i.id = ANY(%(ids)s)")
        values["ids"] = numbers(where.ids)
    return " AND ".join(parts), values


def looks_like(where: Filter) -> tuple[str, dict[str, Any]]:
    """Return the attributes that a filter asks for as a condition over the table of items ``i``, and its parameters."""
    parts, values = [], dict[str, Any]()
    for n, wanted in enumerate(where.wanted):
        told = f"i.attributes -> %(attribute{n})s"
        least = f"{_sureness(n)} >= %(least{n})s"
        parts.append(f"({told} IS NULL OR {least})" if where.include_unseen else f"({told} IS NOT NULL AND {least})")
        values |= {f"attribute{n}": wanted.name, f"accepted{n}": list(wanted.accepted), f"least{n}": wanted.least}
    return " AND ".join(parts), values


def surest_first(where: Filter) -> str:
    """Return an order of rows: by how sure the least sure attribute is that a filter asks for, then by time.

    The parameters are those of `looks_like`.
    """
    sure = ", ".join(f"coalesce({_sureness(n)}, 0)" for n in range(len(where.wanted)))
    return f"least({sure}) DESC, i.moment, i.id"


def _sureness(n: int) -> str:
    return (
        f"(SELECT sum(v.value::float8) FROM jsonb_each(i.attributes -> %(attribute{n})s -> 'values') v "
        f"WHERE v.key = ANY(%(accepted{n})s))"
    )


def numbers(ids: Any) -> list[int]:
    """Return row numbers as a list; a number that no row can have is left out."""
    array = np.asarray(ids)
    if array.size and array.dtype.kind not in "iu":
        raise DataError(f"rows are asked for by whole numbers, got {array.dtype}")
    return [int(n) for n in array.ravel() if 0 < n < 2**63]


def _bucket(time: float) -> int:
    return math.floor(min(max(time, -1e13), 1e13) / PERIOD) if not math.isnan(time) else OTHER
