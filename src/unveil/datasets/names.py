"""Names of datasets beside each other: copies of one dataset, and folders that are called alike, have the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unveil.recipe import DataSource


def told_apart(names: Sequence[str], sources: Sequence[DataSource]) -> list[str]:
    """Return the names of datasets; to one that others share is added what tells their sources apart.

    That is the shortest end of the folders by which all of them differ, else the whole source, and a number for one
    that is named twice: "market1501 (occluded)", "world-small (world:small?seed=2)".
    """
    told = list(names)
    for name in set(names):
        rows = [row for row, other in enumerate(names) if other == name]
        if len(rows) > 1:
            for row, end in zip(rows, _ends([sources[row] for row in rows]), strict=True):
                told[row] = f"{name} ({end})"
    return told


def _ends(sources: Sequence[DataSource]) -> list[str]:
    parts = [Path(source.root or "").absolute().parts for source in sources]
    for length in range(1, max(map(len, parts)) + 1):
        ends = [Path(*part[-length:]).as_posix() for part in parts]
        if len(set(ends)) == len(ends):
            return ends
    texts = [str(source) for source in sources]
    return [text if texts.count(text) == 1 else f"{text}, {number}" for number, text in enumerate(texts, 1)]
