"""The rows of a gallery as a table, in CSV or JSON, and its images as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from unveil.atomic_io import atomic_path, write_bytes
from unveil.attributes.words import words
from unveil.errors import DataError
from unveil.gallery.output.timeline import iso
from unveil.gallery.records import Item
from unveil.report.spreadsheet import cell

PLACE = ("x", "y", "width", "height")
SAID = "looks"  # attributes in words
COLUMNS = (
    "id",
    *(f.name for f in fields(Item) if f.name not in ("id", "thumbnail", "box", "attributes")),
    *PLACE,
    SAID,
)
TIMES = ("time_iso", "end_iso")


def write_listing(items: Iterator[Item], out: Path, *, images: Path | None, change: Callable[[bytes], bytes]) -> int:
    """Write rows to a file, and their images to a folder as ``<id>.jpg``.

    Args:
        items: the rows.
        out: ``.csv`` or ``.json``.
        images: folder; ``None`` writes none.
        change: what is done to each image, for example to blur faces.

    Returns:
        How many rows were written.

    Raises:
        DataError: another kind of file.
        UnveilError: a file cannot be written.
    """
    if out.suffix not in (".csv", ".json"):
        raise DataError(f"expected a file that ends in .csv or .json, got {out}")
    count = 0
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if out.suffix == ".csv":
            writer.writerow((*COLUMNS, *TIMES, "image"))
        for item in items:
            image = "" if images is None else f"{images.name}/{item.id}.jpg"
            if images is not None:
                write_bytes(images / f"{item.id}.jpg", change(item.thumbnail))
            row = {**columns(item), "time_iso": iso(item.time), "end_iso": iso(item.end), "image": image}
            if out.suffix == ".csv":
                writer.writerow([cell(_text(value)) for value in row.values()])
            else:
                file.write(("[" if not count else ",") + "\n" + json.dumps(row))
            count += 1
        if out.suffix == ".json":
            file.write("\n]\n" if count else "[]\n")
    return count


def columns(item: Item) -> dict[str, Any]:
    """Return what is known of a row, without its image."""
    box = item.box or (None,) * 4
    places = dict(zip(PLACE, box, strict=True))
    told = places | {SAID: words(item.attributes)}
    return {name: told[name] if name in told else getattr(item, name) for name in COLUMNS}


def _text(value: Any) -> Any:
    return ";".join(value) if isinstance(value, tuple) else value
