"""What the benchmarks in one flat folder share: finding it, and its files by person."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from unveil.data.listing import Names, Root, list_images, search_root
from unveil.data.readers.benchmark import Layout
from unveil.errors import DataError

Files = dict[str, dict[str, tuple[Path, re.Match[str]]]]


def scan(layout: Layout, given: Path) -> tuple[Root, Files, list[str]]:
    """Return the root, person -> name -> (path, match), and notes about names outside the filename pattern."""
    if not given.is_dir():
        raise DataError(f"{given}: no such folder; expected the images of {layout.name}")
    place = search_root(given, lambda path: _any_named(path, layout.pattern), outer=layout.outer)
    if place is None:
        raise DataError(f"{given}: no image named as in {layout.name} here or in {', '.join(layout.outer)}")
    names = Names(layout.pattern)
    files: Files = defaultdict(dict)
    for path, match in names.scan(place.path):
        files[match["person"]][path.name] = (path, match)
    return place, files, names.notes


def _any_named(folder: Path, pattern: str) -> bool:
    return folder.is_dir() and any(re.match(pattern, p.name) for p in list_images(folder))
