"""PostgreSQL's binary forms for rows of fixed size, packed and unpacked by numpy in one go.

Format: PostgreSQL documentation, "COPY", section "Binary Format"; a pgvector value is its dimension and a zero (two
int16), then the numbers, all big-endian.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = b"\xff\xff"
HALF, SINGLE = ">f2", ">f4"
Column = tuple[str, int]  # a numpy code, and how many numbers: 0 for a plain value, else a pgvector value


def layout(columns: Iterable[Column]) -> np.dtype:
    """Return the record type of a row with these columns; the values are the fields v0, v1, ..."""
    fields: list[tuple] = [("count", ">i2")]
    for i, (code, size) in enumerate(columns):
        fields.append((f"bytes{i}", ">i4"))
        if size:
            fields += [(f"dimension{i}", ">i2"), (f"zero{i}", ">i2"), (f"v{i}", code, (size,))]
        else:
            fields.append((f"v{i}", code))
    return np.dtype(fields)


def pack(columns: Iterable[Column], values: Iterable[np.ndarray | int], *, rows: int) -> bytes:
    """Return a whole COPY stream.

    Args:
        columns: what each column is.
        values: ``(rows,)`` or ``(rows, size)`` for each column, or one number for all rows.
        rows: number of rows.
    """
    columns = tuple(columns)
    records = np.zeros(rows, layout(columns))
    records["count"] = len(columns)
    for i, ((code, size), value) in enumerate(zip(columns, values, strict=True)):
        records[f"bytes{i}"] = np.dtype(code).itemsize * max(size, 1) + (4 if size else 0)
        if size:
            records[f"dimension{i}"] = size
        records[f"v{i}"] = value
    return SIGNATURE + records.tobytes() + END


def packed(columns: Iterable[Column]) -> np.dtype:
    """Return the record type of a row sent by ``int8send``, ``halfvec_send`` and ``vector_send`` one after another."""
    fields: list[tuple] = []
    for i, (code, size) in enumerate(columns):
        fields += (
            [(f"dimension{i}", ">i2"), (f"zero{i}", ">i2"), (f"v{i}", code, (size,))] if size else [(f"v{i}", code)]
        )
    return np.dtype(fields)


def unpack(columns: Iterable[Column], rows: bytes) -> np.ndarray:
    """Return the records of rows of the type `packed`.

    Raises:
        ValueError: they are not made of such rows.
    """
    kind = packed(columns)
    if len(rows) % kind.itemsize:
        raise ValueError(f"expected rows of {kind.itemsize} bytes, got {len(rows)} bytes: a vector has another length")
    return np.frombuffer(rows, kind)
