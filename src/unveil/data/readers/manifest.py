"""The project's own dataset format: a CSV file with a row for each crop; ``path`` and ``person`` are required."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from unveil.atomic_io import write_text
from unveil.data.listing import seen_people
from unveil.data.protocols import CROSS_CLOTHES, MARKET, NO_JUNK, SAME_CLOTHES
from unveil.data.text import is_file, read_text, with_slashes
from unveil.errors import DataError, nearest
from unveil.records import LABEL_COLUMNS, SPLITS, Dataset, Protocol, Sample, Split

FILE = "manifest.csv"
REQUIRED = ("path", "person")
OPTIONAL = ("camera", "clothes", "time", "tracklet", "split", "parsing", "parsing_scheme")


def read(root: Path, *, split: Split | None = None, name: str | None = None, scheme: str | None = None) -> Dataset:
    """Read a manifest; see `read_manifest`.

    Args:
        root: the CSV file, or a folder that holds ``manifest.csv``.
        split: split of every crop, for a manifest without that column.
        name: name of the dataset; the folder's by default.
        scheme: label set of the parsing maps, for a manifest without the column ``parsing_scheme``.
    """
    path = root / FILE if root.is_dir() else root
    dataset = read_manifest(path, name, scheme=scheme)
    return dataset if split is None else with_split(dataset, split)


def read_manifest(path: Path, name: str | None = None, *, scheme: str | None = None) -> Dataset:
    """Read a CSV manifest.

    Columns: ``path`` (relative to the manifest), ``person``; optional ``camera, clothes, time`` (seconds or ISO 8601),
    ``tracklet, split, parsing`` (path), ``parsing_scheme``. Any other column goes to `Sample.extra`. An empty
    cell is unknown.

    Raises:
        DataError: the file, a column, a value or an image is missing or wrong; names the line and the column.
    """
    if not is_file(path):
        raise DataError(f"{path}: no such manifest; expected a CSV file with the columns {', '.join(REQUIRED)}")
    name = name or path.resolve().parent.name or "manifest"
    text = read_text(path, f"a manifest with the columns {', '.join(REQUIRED)}")
    samples, schemes = [], set()
    files = _Files(path.parent)
    for line, row in _rows(path, text):
        samples.append(_sample(path, line, row=row, files=files))
        if row.get("parsing_scheme") and samples[-1].parsing is not None:
            schemes.add(row["parsing_scheme"])
    if not samples:
        raise DataError(f"{path}: the manifest is empty: a header and no row")
    if len(schemes) > 1:
        raise DataError(
            f"{path}: column 'parsing_scheme' must be the same everywhere, found {', '.join(sorted(schemes))}"
        )
    scheme = scheme or next(iter(schemes), None)
    return Dataset(
        name, tuple(samples), protocols_of(samples), notes=tuple(_notes(samples, scheme)), parsing_scheme=scheme
    )


def write_manifest(dataset: Dataset, path: Path) -> None:
    """Write a dataset as a manifest that reads back as the same samples; never leaves half a file.

    Raises:
        DataError: a crop exists only as bytes, so there is no path to write.
    """
    extras = sorted({column for sample in dataset.samples for column in sample.extra})
    used = [
        c
        for c in (*LABEL_COLUMNS[1:], "time", "split", "parsing")
        if any(getattr(s, c) is not None for s in dataset.samples)
    ]
    if "parsing" in used and dataset.parsing_scheme:
        used.append("parsing_scheme")
    out = io.StringIO()
    writer = csv.DictWriter(out, [*REQUIRED, *used, *extras], lineterminator="\n")
    writer.writeheader()
    for sample in dataset.samples:
        if sample.path is None:
            raise DataError(f"sample {sample.key!r} has bytes and no file: save it before writing a manifest")
        row: dict[str, object] = {"path": _relative(sample.path, path.parent), "person": sample.person}
        row |= {column: getattr(sample, column) for column in used if column not in ("parsing", "parsing_scheme")}
        if sample.parsing is not None:
            row["parsing"] = _relative(sample.parsing, path.parent)
            row["parsing_scheme"] = dataset.parsing_scheme
        writer.writerow({k: v for k, v in (row | dict(sample.extra)).items() if k in writer.fieldnames})
    write_text(path, out.getvalue())


def with_split(dataset: Dataset, split: Split) -> Dataset:
    """Return a dataset without splits as one whose crops are all in ``split``.

    Raises:
        DataError: the dataset has splits of its own.
    """
    if any(sample.split is not None for sample in dataset.samples):
        raise DataError(f"dataset {dataset.name!r} has splits of its own; leave out the option split={split}")
    samples = tuple(dataclasses.replace(sample, split=split) for sample in dataset.samples)
    notes = tuple(note for note in dataset.notes if not note.startswith("split "))
    return dataclasses.replace(dataset, samples=samples, protocols=protocols_of(samples), notes=notes)


def protocols_of(samples: Sequence[Sample]) -> tuple[Protocol, ...]:
    """Return the protocols that the test crops have the columns for; the first is the default.

    Crops of unknown persons are distractors, which no protocol asks for a camera or an outfit.
    """
    test = [s for s in samples if s.split in ("query", "gallery") and s.person is not None]
    if not test or any(s.camera is None for s in test):
        return (NO_JUNK,)
    if any(s.clothes is None for s in test):
        return (MARKET,)
    return (MARKET, CROSS_CLOTHES, SAME_CLOTHES)


class _Files:
    """Which files exist below a folder; a folder is listed once, which a slow disk thanks."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self._listed: dict[Path, frozenset[str]] = {}

    def find(self, cell: str) -> Path | None:
        path = self.base / cell
        if path.parent not in self._listed:
            self._listed[path.parent] = _names_in(path.parent)
        return path if path.name in self._listed[path.parent] else None


def _names_in(folder: Path) -> frozenset[str]:
    try:
        with os.scandir(folder) as entries:
            return frozenset(entry.name for entry in entries if entry.is_file())
    except (OSError, ValueError):  # no folder, or a name that none can have
        return frozenset()


def _rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if not header:
            raise DataError(f"{path}: the file is empty; expected a header with {', '.join(REQUIRED)}")
        for column in REQUIRED:
            if column not in header:
                guess = nearest(column, header)
                raise DataError(f"{path}: line 1: no column {column!r}{guess}; found {', '.join(header)}")
        if len(set(header)) != len(header):
            raise DataError(f"{path}: line 1: a column appears twice in {', '.join(header)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(f"{path}: line {reader.line_num}: expected {len(header)} cells, found {len(cells)}")
            yield reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))
    except csv.Error as e:
        raise DataError(f"{path}: line {reader.line_num}: not valid CSV: {e}") from None


def _sample(manifest: Path, line: int, *, row: dict[str, str], files: _Files) -> Sample:
    def fail(column: str, message: str) -> DataError:
        return DataError(f"{manifest}: line {line}, column {column!r}: {message}")

    def existing(column: str) -> tuple[str, Path]:
        # As it stands first: a name may hold a backslash.
        for cell in (row[column], with_slashes(row[column])):
            found = files.find(cell)
            if found is not None:
                return cell, found
        raise fail(column, f"no such file: {manifest.parent / with_slashes(row[column])}")

    if not row["path"]:
        raise fail("path", "expected the path of an image, found an empty cell")
    split = row.get("split") or None
    if split is not None and split not in SPLITS:
        raise fail("split", f"expected one of {', '.join(SPLITS)}, found {split!r}{nearest(split, SPLITS)}")
    try:
        time = parse_time(row["time"]) if row.get("time") else None
    except ValueError:
        raise fail("time", f"expected seconds or an ISO 8601 date and time, found {row['time']!r}") from None
    key, path = existing("path")
    return Sample(
        key=PurePosixPath(key).as_posix(),
        path=path,
        person=row["person"] or None,
        camera=row.get("camera") or None,
        clothes=row.get("clothes") or None,
        time=time,
        tracklet=row.get("tracklet") or None,
        parsing=existing("parsing")[1] if row.get("parsing") else None,
        split=split,
        extra={c: v for c, v in row.items() if c not in REQUIRED and c not in OPTIONAL and v},
    )


def parse_time(text: str) -> float:
    """Return a timestamp as seconds; ISO 8601 counts from the epoch, in UTC unless it names a zone.

    Raises:
        ValueError: neither a number nor a date and time.
    """
    try:
        seconds = float(text)
    except ValueError:
        date = datetime.fromisoformat(text)
        # A date without a zone is read as UTC: the same file must mean the same on every machine.
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds


def _notes(samples: list[Sample], scheme: str | None) -> Iterator[str]:
    for column in ("person", "camera", "clothes", "split"):
        unknown = sum(getattr(s, column) is None for s in samples)
        if unknown:
            yield f"{column} is unknown for {unknown if unknown < len(samples) else 'all'} of {len(samples)} crops"
    if scheme is None and any(s.parsing is not None for s in samples):
        yield "parsing maps are given, but not their label set: add a column parsing_scheme, or the option scheme="
    yield from seen_people(samples)


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()
