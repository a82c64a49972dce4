"""Tables whose cells are figures of rows anywhere in the CSVs; rows among them may be written by hand."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from csv_tables import Where, markdown, matching, read


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Args:
        head: its name.
        shape: a cell, with the figures of the CSV by name, as `str.format` takes them; "{NAME:short}" has two digits,
            or all before the point.
        where: what rows of a CSV have for this column.
        best: figure whose largest value is bold.
    """

    head: str
    shape: str
    where: Where = field(default_factory=dict)
    best: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        label: its first cell.
        csv: name of the file, without ".csv"; empty for a row that is written by hand and stays as it is.
        where: what rows of the CSV have for this row.
        empty: heads of the columns that were not measured.
        repeats: what each repetition has besides; of several, mean and standard deviation are shown.
    """

    label: str
    csv: str = ""
    where: Where = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    repeats: tuple[Where, ...] = ({},)


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Args:
        first: head of the labels.
        columns: the others.
        rows: in their order, or what finds them in the folder of the CSVs.
    """

    first: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...] | Callable[[Path], tuple[Row, ...]]


class Figure:
    """A figure of one row, or of repetitions: then their mean and the standard deviation of the sample."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.values = [float(text) for text in texts]

    def __float__(self) -> float:
        return statistics.mean(self.values)

    def __format__(self, spec: str) -> str:
        if spec == "short":
            spec = ".2g" if float(self) < 100 else ",.0f"
        spread = f" ± {statistics.stdev(self.values):{spec}}" if len(self.values) > 1 else ""
        return f"{float(self):{spec}}{spread}"


def one(folder: Path, name: str, where: Where) -> dict[str, str]:
    """Return the only row of a CSV that has these values.

    Raises:
        ValueError: there is none, or there are several.
    """
    rows = matching(name, read(folder / f"{name}.csv"), where)
    if len(rows) != 1:
        said = ", ".join(f"{column} is {value}" for column, value in where.items())
        raise ValueError(f"{name}.csv: expected one row whose {said}; found {len(rows)}")
    return rows[0]


def figures(folder: Path, row: Row, column: Column) -> dict[str, Figure]:
    """Return the figures of a cell by name.

    Raises:
        ValueError: a row or a figure is missing.
    """
    found = [one(folder, row.csv, {**row.where, **column.where, **repeat}) for repeat in row.repeats]
    names = re.findall(r"\{(\w+)", column.shape)
    if absent := [name for name in names if not all(each.get(name) for each in found)]:
        raise ValueError(f"{row.csv}.csv has no {', '.join(absent)} for {row.label!r}, column {column.head!r}")
    return {name: Figure([each[name] for each in found]) for name in names}


def cells(folder: Path, column: Column, rows: Sequence[Row]) -> list[str]:
    """Return the cells of a column, of rows that are in CSVs."""
    found = [None if column.head in row.empty else figures(folder, row, column) for row in rows]
    texts = ["" if each is None else column.shape.format_map(each) for each in found]
    if not column.best:
        return texts
    values = [float("-inf") if each is None else float(each[column.best]) for each in found]
    return [f"**{text}**" if value == max(values) else text for text, value in zip(texts, values, strict=True)]


def starts(folder: Path, rows: Sequence[Row]) -> str:
    """Return a sentence on what the networks of rows started from; nothing where their CSV does not say so."""
    labels: dict[str, list[str]] = {}
    for row in rows:
        for found in matching(row.csv, read(folder / f"{row.csv}.csv"), row.where):
            if "start" in found:
                labels.setdefault(found["start"] or "not recorded", []).append(row.label)
    told = [f"{start} ({', '.join(dict.fromkeys(own))})" for start, own in labels.items()]
    return f"\n\nWhat the networks started from: {'; '.join(told if len(told) > 1 else labels)}." if labels else ""


def drawn(table: Table, folder: Path, old: str) -> str:
    """Return a table in Markdown, and below it what its networks started from.

    Args:
        table: what is shown.
        folder: of the CSVs.
        old: what the page has now; rows that are written by hand are taken from it.

    Raises:
        ValueError: a row or a figure is missing, in a CSV or on the page.
    """
    rows = table.rows if isinstance(table.rows, tuple) else table.rows(folder)
    recorded = [row for row in rows if row.csv]
    lines = zip(*(cells(folder, column, recorded) for column in table.columns), strict=True)
    by_hand = {line.split("|")[1].strip(): line for line in old.splitlines() if line.startswith("|")}
    told: list[list[str]] = []
    for row in rows:
        if row.csv:
            told.append([row.label, *next(lines)])
        elif row.label in by_hand:
            told.append([cell.strip() for cell in by_hand[row.label][1:-1].split("|")])
        else:
            raise ValueError(f"the page has no row {row.label!r}, which no CSV has")
    return markdown([table.first, *(column.head for column in table.columns)], told) + starts(folder, recorded)
