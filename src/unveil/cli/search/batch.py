"""Several searches in one call: each crop of a folder by itself, in one gallery or in several of one model."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from unveil.atomic_io import write_text
from unveil.cli.gallery.stores import opened
from unveil.cli.search.in_gallery import ROW, GallerySearch, engine_for, filter_of, negatives_of, query_of
from unveil.cli.sources import crops_of
from unveil.cli.tables import Table
from unveil.data.images import read_sample
from unveil.errors import DataError, ImageError
from unveil.gallery.audit import user
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.output.report import COLUMNS, cells, row_of
from unveil.gallery.output.timeline import time_text
from unveil.gallery.search.audited import audited_search
from unveil.gallery.search.query import NoPersonDetectedError, cut, embed_person
from unveil.gallery.search.records import Hit, Query, SearchResult
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.store.protocol import Store
from unveil.models.embeddings import load_embeddings
from unveil.records import Embedding
from unveil.report.spreadsheet import cell


@dataclass(frozen=True)
class Answer:
    """What one query found: its name, and the answer of each gallery by name."""

    query: str
    found: dict[str, SearchResult]

    def hits(self, top: int) -> list[tuple[str, Hit]]:
        """Return the results of all galleries with the name of each one's gallery, nearest first."""
        if len(self.found) == 1:  # in the order of the gallery's own answer, which may be re-ranked
            return [(name, hit) for name, found in self.found.items() for hit in found.hits][:top]
        every = [(name, hit) for name, found in self.found.items() for hit in found.hits]
        return sorted(every, key=lambda one: one[1].distance)[:top]


def search_each(asked: GallerySearch, table: Path | None, as_json: bool) -> int:
    """Search with each crop, or in several galleries, each noted in the audit log; return the exit code."""
    names = tuple(dict.fromkeys((asked.gallery, *asked.also)))
    if len(names) > 1 and asked.rerank:
        raise DataError("re-ranking orders the rows of one gallery; search in several without --rerank")
    bad: list[str] = []
    with opened(asked.store, asked.folder) as store:
        searchers = {name: Searcher(store, name) for name in names}
        _one_model(store, names)
        answers = [
            Answer(key, {name: _search(searcher, embedding, fingerprint, negatives, own, asked) for name, searcher in
                         searchers.items()})
            for key, embedding, fingerprint, negatives, own in _queries(asked, store, bad)
        ]  # fmt: skip
    for line in bad:
        typer.echo(f"left out: {line}", err=True)
    if as_json:
        typer.echo(json.dumps([_plain(answer, asked.top) for answer in answers], indent=2))
    else:
        _print(answers, asked)
    if table is not None:
        write_text(table, _csv(answers, asked.top))
        typer.echo(f"wrote {table}", err=True)
    return 1 if bad else 0


def _one_model(store: Store, names: tuple[str, ...]) -> None:
    spaces = {name: store.info(name).space for name in names}
    first = spaces[names[0]]
    for name, space in spaces.items():
        if space.fingerprint != first.fingerprint:
            raise DataError(
                f"{name} was made with model {space.identity}, {names[0]} with {first.identity}: distances of two "
                "models cannot be compared, search in each by itself"
            )


NamedQuery = tuple[str, Embedding, str, Embedding | None, tuple[int, ...]]


def _queries(asked: GallerySearch, store: Store, bad: list[str]) -> Iterator[NamedQuery]:
    """Yield name, embedding, fingerprint of the model, negatives and own rows of each query."""
    if not asked.each or asked.query.startswith(ROW):
        positives, fingerprint, _, negatives, own = query_of(asked, store)
        yield asked.query, positives, fingerprint, negatives, own
        return
    if asked.query.endswith(".safetensors"):
        crops = load_embeddings(Path(asked.query))
        count = len(asked.negatives)
        engine = engine_for(asked, store, count) if count else None
        parser = find_parser() if engine else None
        negatives = negatives_of(asked, engine, parser, query=crops.fingerprint)
        for n, sample in enumerate(crops.samples):
            if asked.only is None or asked.only in sample.key:
                yield sample.key, crops.embedding.select(slice(n, n + 1)), crops.fingerprint, negatives, ()
        return
    samples = [s for s in crops_of(asked.query).samples if asked.only is None or asked.only in s.key]
    if not samples:
        raise DataError(f"no query crop in {asked.query}" + (f" has {asked.only!r} in its key" if asked.only else ""))
    engine = engine_for(asked, store, len(samples) + len(asked.negatives))
    parser = find_parser()
    negatives = negatives_of(asked, engine, parser)
    for sample in samples:
        try:
            image = cut(read_sample(sample), asked.box, name=sample.key)
            one = embed_person(
                [image], [sample.key], engine=engine, parser=parser, skip_person_check=asked.skip_person_check
            )
        except (ImageError, NoPersonDetectedError) as e:
            bad.append(str(e))
            continue
        yield sample.key, one, engine.fingerprint, negatives, ()


def _search(
    searcher: Searcher,
    positives: Embedding,
    fingerprint: str,
    negatives: Embedding | None,
    own: tuple[int, ...],
    asked: GallerySearch,
) -> SearchResult:
    own = own if searcher.name == asked.gallery else ()
    query = Query(
        positives, fingerprint, negatives, filter_of(asked), asked.rows, asked.top, asked.rescore, asked.mode, own=own,
        rerank=asked.rerank,
    )  # fmt: skip
    return audited_search(searcher, query, who=user(), why=asked.why)


def _plain(answer: Answer, top: int) -> dict[str, Any]:
    return {
        "query": answer.query,
        "galleries": {
            name: {"match": found.match, "threshold": found.threshold, "query_hash": found.query_hash,
                   "candidates": found.candidates, "model": found.model.to_dict(), "notes": list(found.notes)}
            for name, found in answer.found.items()
        },
        "hits": [
            {"gallery": name} | row_of(rank, hit) | {"parts": hit.parts}
            for rank, (name, hit) in enumerate(answer.hits(top), 1)
        ],
    }  # fmt: skip


def _csv(answers: list[Answer], top: int) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("query", "gallery", *COLUMNS))
    for answer in answers:
        for rank, (name, hit) in enumerate(answer.hits(top), 1):
            writer.writerow([cell(answer.query), cell(name), *cells(rank, hit)])
    return out.getvalue()


def _print(answers: list[Answer], asked: GallerySearch) -> None:
    drawn = Table("query", "rank", "gallery", "row", "distance", "probability", "camera", "time", "why")
    for answer in answers:
        for rank, (name, hit) in enumerate(answer.hits(asked.top), 1):
            sure = "" if hit.probability is None else f"{hit.probability:.0%}"
            what = (
                name,
                str(hit.item.id),
                f"{hit.distance:.4f}",
                sure,
                hit.item.camera or "",
                time_text(hit.item.time),
            )
            drawn.add_row(answer.query if rank == 1 else "", str(rank), *what, hit.reason)
    Console().print(drawn)
    unsure = {name for answer in answers for name, found in answer.found.items() if not found.calibrated}
    if unsure:
        typer.echo(
            f"not calibrated: {', '.join(sorted(unsure))}; distances order the results, they are no probabilities"
        )
    none = [answer.query for answer in answers if all(found.match is False for found in answer.found.values())]
    if none:
        typer.echo(f"no match: {', '.join(none)}")
    models = {str(found.model) for answer in answers for found in answer.found.values()}
    typer.echo(f"{len(answers)} queries; model {', '.join(sorted(models))}")
