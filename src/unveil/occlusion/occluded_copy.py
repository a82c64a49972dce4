"""The files of an occluded copy beside its images: settings, the table of what was occluded, the journal of a build."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from unveil.atomic_io import write_text
from unveil.data.readers.manifest import FILE as MANIFEST
from unveil.data.text import read_text
from unveil.errors import DataError, UnveilError
from unveil.occlusion.settings import OcclusionSettings
from unveil.records import Dataset, Sample

Row = dict[str, str]
TABLE, SETTINGS, JOURNAL = "occlusion.csv", "occlusion.json", ".occlusion.jsonl"
COLUMNS = ("path", "style", "what", "kernel", "cells", "occluded", "occluded_person", "seed", "parser")
COMPANIONS = frozenset((".txt", ".csv", ".json", ".list", ".mat", ".yaml", ".yml", ".md"))


def claim(
    dataset: Dataset,
    source: Path,
    *,
    out: Path,
    settings: OcclusionSettings,
    parser: str,
    donors: Sequence[Sample] = (),
) -> None:
    """Begin or continue a build in a folder; ``donors`` are those of another place than the dataset.

    Raises:
        UnveilError: the folder holds the source, something else, or a build with other settings.
    """
    if out.resolve() == source.resolve() or source.resolve().is_relative_to(out.resolve()):
        raise UnveilError(f"{out} holds the source {source}; write the occluded images to another folder")
    stated = {
        "dataset": dataset.name,
        "dataset_hash": dataset.hash,
        "parsing_scheme": dataset.parsing_scheme,
        "parser": parser,
        **({"donors": _hash(donors)} if donors else {}),
        **json.loads(json.dumps(dataclasses.asdict(settings), default=str)),
    }
    path = out / SETTINGS
    if path.is_file():
        before = _read_settings(path)
        changed = [name for name in stated if stated[name] != before.get(name)]
        if changed:
            raise UnveilError(f"{out} was built with other settings ({', '.join(changed)}); choose another folder")
    elif out.is_dir() and any(out.iterdir()):
        raise UnveilError(f"{out} is not empty and no occluded dataset; choose another folder")
    else:
        write_text(path, json.dumps(stated, indent=2) + "\n")


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as e:
        raise UnveilError(f"{path} is damaged ({e}); remove the folder, or choose another one") from None
    if not isinstance(found, dict):
        raise UnveilError(f"{path} is damaged: expected a JSON object; remove the folder, or choose another one")
    return found


def _hash(donors: Sequence[Sample]) -> str:
    return hashlib.sha256("\n".join(sample.key for sample in donors).encode()).hexdigest()[:12]


def read_journal(path: Path) -> dict[str, Row]:
    """Return key -> row of the images that a stopped build had finished."""
    rows: dict[str, Row] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # the line that was being written when the build was stopped
                continue
            if _is_whole(row):
                rows[row["path"]] = row
    return rows


def read_table(path: Path) -> dict[str, Row]:
    """Return key -> row of a finished build; empty when there is none. Damaged rows are left out: they are made again.

    Raises:
        DataError: it is no text.
    """
    if not path.is_file():
        return {}
    text = read_text(path, f"a table with the columns {', '.join(COLUMNS)}")
    try:
        return {row["path"]: row for row in csv.DictReader(io.StringIO(text, newline="")) if _is_whole(row)}
    except csv.Error as e:
        raise DataError(f"{path} is damaged ({e}): remove it, and its images are made again") from None


def _is_whole(row: Any) -> bool:
    """Return whether a row that was read back has what is counted in the end."""
    try:
        figures = [float(row["occluded"]), float(row["occluded_person"])]
        return set(row) == set(COLUMNS) and None not in row.values() and figures[0] >= 0
    except (TypeError, ValueError, KeyError, AttributeError):
        return False


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the table of what was occluded, in the order of the dataset."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def copy_companions(dataset: Dataset, source: Path, *, out: Path) -> None:
    """Copy lists, tables and protocols (MSMT17, CCVID, manifests), without which the copy could not be read.

    A manifest then names the crops and the parsing maps that the copy has.
    """
    for path in sorted(p for p in source.rglob("*") if p.suffix.lower() in COMPANIONS and p.is_file()):
        target = out / path.relative_to(source)
        if not target.exists() and not path.is_relative_to(out):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    if (source / MANIFEST).is_file():
        write_text(out / MANIFEST, _manifest(dataset, source))


def _manifest(dataset: Dataset, source: Path) -> str:
    """Return the source's manifest with the rows of the dataset and the maps that go along with it."""
    samples = {sample.key: sample for sample in dataset.samples}
    text = io.StringIO()
    with io.StringIO(read_text(source / MANIFEST, "a manifest"), newline="") as f:
        reader = csv.DictReader(f)
        writer = csv.DictWriter(text, reader.fieldnames or (), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in reader:
            sample = samples.get(PurePosixPath((row.get("path") or "").strip().replace("\\", "/")).as_posix())
            if sample is not None:
                own = sample.parsing if sample.parsing and sample.parsing.is_relative_to(source) else None
                parsing = own.relative_to(source).as_posix() if own else ""
                writer.writerow(row | {"parsing": parsing, "parsing_scheme": dataset.parsing_scheme if own else ""})
    return text.getvalue()
