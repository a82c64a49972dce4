"""Rows of the CSVs in benchmarks/results, and tables in Markdown, for the pages that show them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from unveil.gallery.scoring.ranking import CHANGED_CLOTHES_BY_IDENTITY

ROOT = Path(__file__).parents[1]
# The fingerprint of the default network in the package, and the factor of its mode for changed clothes.
DUAL: str = json.loads((ROOT / "src/unveil/weights/dual.json").read_text(encoding="utf-8"))["fingerprint"]
MODE = str(CHANGED_CLOTHES_BY_IDENTITY)
Where = Mapping[str, str | Sequence[str]]  # the value that a row must have in a column, or several, one of them


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV; cells that a row lacks are empty."""
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f, restval=""))


def matching(
    name: str, rows: Sequence[dict[str, str]], where: Where, columns: Sequence[str] = ()
) -> list[dict[str, str]]:
    """Return the rows that have what is asked for.

    Args:
        name: of the CSV, without ".csv"; for errors.
        rows: of the CSV.
        where: what a row must have.
        columns: others that the CSV must have.

    Raises:
        ValueError: a column or a value that is asked for is in no row.
    """
    if missing := sorted({*columns, *where}.difference(*rows[:1])):
        raise ValueError(f"{name}.csv has no column {', '.join(missing)}")
    wanted = {column: [value] if isinstance(value, str) else value for column, value in where.items()}
    for column, values in wanted.items():
        if absent := sorted(set(values) - {row[column] for row in rows}):
            raise ValueError(f"{name}.csv has no row whose {column} is {', '.join(absent)}")
    return [row for row in rows if all(row[column] in values for column, values in wanted.items())]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, without a line break at its end."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *rows))
