"""Exact search in embeddings that are in memory: a ranked list for each query crop, or one for all of a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.gallery.records import Mode
from unveil.gallery.scoring.ranking import named_parts, part_means
from unveil.gallery.scoring.ranking import rank as nearest
from unveil.models.embeddings import EmbeddedCrops
from unveil.records import Embedding, Sample


@dataclass(frozen=True)
class RankedCrop:
    """One gallery crop in a ranked list; ``parts`` maps the name of a vector to its distance, occluded ones not."""

    rank: int
    row: int
    distance: float
    sample: Sample
    parts: dict[str, float]


@dataclass(frozen=True)
class RankedList:
    """What was asked, and the answer."""

    rows: tuple[int, ...]
    queries: tuple[Sample, ...]
    hits: tuple[RankedCrop, ...]

    @property
    def title(self) -> str:
        """Key of the query crop, and how many more there are."""
        more = f" and {len(self.queries) - 1} more" if len(self.queries) > 1 else ""
        return self.queries[0].key + more

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "query": [s.key for s in self.queries],
            "hits": [
                {"rank": hit.rank, "key": hit.sample.key, "path": str(hit.sample.path) if hit.sample.path else None,
                 "distance": hit.distance, "person": hit.sample.person, "camera": hit.sample.camera,
                 "parts": hit.parts}
                for hit in self.hits
            ],
        }  # fmt: skip


def rank(
    query: EmbeddedCrops,
    gallery: EmbeddedCrops,
    *,
    top: int,
    one_person: bool = False,
    negatives: Embedding | None = None,
    mode: Mode = "same",
) -> list[RankedList]:
    """Rank the gallery for each query crop, or once for all of them; a crop is never an answer to itself."""
    groups = [list(range(len(query.samples)))] if one_person else [[row] for row in range(len(query.samples))]
    of_row = np.zeros(len(query.samples), np.int64) if one_person else None
    own = _own_rows(query, gallery)
    extra = max((len({o for row in rows for o in own[row]}) for rows in groups), default=0)
    found, distances = nearest(
        query.embedding, gallery.embedding, top=top + extra, groups=of_row, negatives=negatives, mode=mode
    )
    return [
        _ranked(
            rows,
            query,
            gallery=gallery,
            found=found[i],
            distances=distances[i],
            own={o for row in rows for o in own[row]},
            top=top,
        )
        for i, rows in enumerate(groups)
    ]


def _ranked(
    rows: list[int],
    query: EmbeddedCrops,
    *,
    gallery: EmbeddedCrops,
    found: np.ndarray,
    distances: np.ndarray,
    own: set[int],
    top: int,
) -> RankedList:
    kept = [(int(g), float(d)) for g, d in zip(found, distances, strict=True) if int(g) not in own][:top]
    names = query.embedding.names
    parts = part_means(query.embedding.select(rows), gallery.embedding.select([g for g, _ in kept]))
    hits = tuple(
        RankedCrop(n, g, distance, gallery.samples[g], named_parts(names, parts[n - 1]))
        for n, (g, distance) in enumerate(kept, 1)
    )
    return RankedList(tuple(rows), tuple(query.samples[row] for row in rows), hits)


def _own_rows(query: EmbeddedCrops, gallery: EmbeddedCrops) -> list[list[int]]:
    where: dict[Path, list[int]] = {}
    for row, sample in enumerate(gallery.samples):
        if sample.path is not None:
            where.setdefault(sample.path.resolve(), []).append(row)
    return [where.get(s.path.resolve(), []) if s.path is not None else [] for s in query.samples]
