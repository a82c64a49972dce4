"""How far it is from one camera to another, from a table that the operator made."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from unveil.errors import DataError

COLUMNS = ("from", "to", "metres")
MAX_PAIRS = 100_000


def read_distances(path: Path) -> dict[frozenset[str], float]:
    """Return metres between pairs of cameras, as people go, in either direction.

    Args:
        path: CSV with the columns ``from``, ``to`` (labels of cameras) and ``metres``.

    Raises:
        DataError: it cannot be read, a column is missing, or a line makes no sense; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise DataError(f"{path} cannot be read: {getattr(e, 'strerror', None) or e}") from None
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    found: dict[frozenset[str], float] = {}
    for number, row in enumerate(reader, 2):
        pair = frozenset((row["from"], row["to"]))
        try:
            metres = float(row["metres"])
        except (TypeError, ValueError):
            metres = math.nan
        if len(pair) < 2 or not 0 <= metres < math.inf:
            raise DataError(f"{path}, line {number}: expected two cameras and metres of at least 0, got {dict(row)}")
        if found.setdefault(pair, metres) != metres:
            raise DataError(f"{path}, line {number}: {row['from']} to {row['to']} has two distances")
        if len(found) > MAX_PAIRS:
            raise DataError(f"{path}: more than {MAX_PAIRS:,} pairs")
    return found
