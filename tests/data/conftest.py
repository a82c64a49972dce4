"""What a protocol makes of a miniature."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from unveil.evaluation.protocols import select
from unveil.records import LABEL_COLUMNS, Dataset, Protocol

Rules = Callable[[Dataset, Protocol], tuple[dict[str, set[str]], dict[str, set[str]]]]


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
