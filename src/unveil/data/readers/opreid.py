"""OPReID (SSGR): its files were never seen, so it is read from a table: split,path,pid,camid[,clothes]."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

from unveil.data.listing import Root
from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.text import is_file, read_text, with_slashes
from unveil.errors import DataError
from unveil.records import SPLITS, Dataset, Sample, Split

LAYOUT = Layout(
    "opreid",
    "",
    published={
        "train images": 27228,
        "train persons": 1744,
        "query images": 4200,
        "query persons": 3515,
        "gallery images": 41014,
        "gallery persons": 6174,
    },
    notes=("the published link of OPReID is dead, filenames are unknown; counts are those of the paper's text",),
)
_NEEDED = ("split", "path", "pid")


def read(root: Path) -> Dataset:
    """Read OPReID from a CSV, or from ``manifest.csv`` in a folder.

    With cameras the protocol is Market's; without, query and gallery count as two cameras and nothing is junk.
    """
    table = root / "manifest.csv" if root.is_dir() else root
    rows = csv.DictReader(io.StringIO(read_text(table, "a table split,path,pid,camid[,clothes]"), newline=""))
    try:
        missing = [column for column in _NEEDED if column not in (rows.fieldnames or ())]
        if missing:
            raise DataError(f"{table}: expected the columns {', '.join(_NEEDED)}; missing {', '.join(missing)}")
        samples = [_sample(table, row, line=rows.line_num) for row in rows]
    except csv.Error as e:
        raise DataError(f"{table}, line {rows.line_num}: not valid CSV: {e}") from None
    cameras = bool(samples) and all(s.camera is not None for s in samples if s.split != "train")
    form = LAYOUT if cameras else dataclasses.replace(LAYOUT, protocols=(NO_JUNK,))
    return assemble(
        form, Root(table.parent), samples=sorted(samples, key=lambda s: (SPLITS.index(s.split or "train"), s.key))
    )


def _sample(table: Path, row: dict[str, str], *, line: int) -> Sample:
    split = (row["split"] or "").strip()
    if split not in SPLITS:
        raise DataError(f"{table}, line {line}: split must be one of {', '.join(SPLITS)}, found {split!r}")
    known: Split = next(s for s in SPLITS if s == split)
    columns = {"person": row["pid"], "camera": row.get("camid"), "clothes": row.get("clothes")}
    labels = {name: text for name, text in columns.items() if text}
    if "person" not in labels:
        raise DataError(f"{table}, line {line}: pid is empty")
    named = with_slashes(row["path"] or "")
    path = table.parent / named
    if not named or not is_file(path):
        raise DataError(f"{table}, line {line}: {path} does not exist")
    return sample_of(Root(table.parent), path, split=known, labels=labels, key=Path(named).as_posix())
