"""Miniatures of benchmarks: tiny solid crops under the published names, and what a protocol makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from unveil.evaluation.protocols import select
from unveil.records import LABEL_COLUMNS, Dataset, Protocol

Crops = Callable[[Path, Iterable[str] | str], Path]
Rules = Callable[[Dataset, Protocol], tuple[dict[str, set[str]], dict[str, set[str]]]]


@pytest.fixture
def crops() -> Crops:
    """Write 8x4 crops of one colour each, under the given names (a text is split at white space)."""

    def write(root: Path, names: Iterable[str] | str) -> Path:
        for number, name in enumerate(names.split() if isinstance(names, str) else names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 8), (37 * number % 256, 101, 53)).save(path)
        return root

    return write


@pytest.fixture
def rules() -> Rules:
    """Return (matches, junk) of a protocol: for each query key, the gallery keys of its person that count or do not."""

    def apply(dataset: Dataset, protocol: Protocol) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        query, gallery = select(dataset.samples, protocol)
        keys = [s.key for s in dataset.samples]
        matches: dict[str, set[str]] = {keys[q]: set() for q in query}
        junk: dict[str, set[str]] = {keys[q]: set() for q in query}
        for q in (dataset.samples[i] for i in query):
            for g in (dataset.samples[i] for i in gallery):
                if q.person == g.person:
                    same = {f"same_{column}": getattr(q, column) == getattr(g, column) for column in LABEL_COLUMNS}
                    same |= {name.replace("same", "other"): not value for name, value in same.items()}
                    (junk if any(same[relation] for relation in protocol.junk) else matches)[q.key].add(g.key)
        return matches, junk

    return apply
