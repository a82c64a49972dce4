"""Search in a gallery: one person at a time, noted in the audit log before anything is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer
from rich.console import Console

from unveil.cli.gallery.stores import opened
from unveil.cli.gallery.stores import timestamp as seconds
from unveil.cli.sources import crops_of
from unveil.cli.tables import Table
from unveil.data.images import read_image, read_sample
from unveil.errors import DataError
from unveil.gallery.audit import user
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.output.timeline import time_text
from unveil.gallery.records import Filter, Mode, Rows
from unveil.gallery.search.audited import audited_search
from unveil.gallery.search.query import Box, cut, embed_person
from unveil.gallery.search.records import Query, SearchResult
from unveil.gallery.search.searcher import Searcher
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine
from unveil.models.embeddings import load_embeddings, same_fingerprint
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Embedding

ROW = "row:"


@dataclass(frozen=True)
class GallerySearch:
    """What was asked on the command line; see `unveil.cli.search.command`."""

    query: str
    gallery: str
    model: Path
    top: int
    one_person: bool
    only: str | None
    negatives: tuple[Path, ...]
    box: Box | None
    mode: Mode
    cameras: tuple[str, ...]
    start: str | None
    end: str | None
    min_visible: float | None
    tags: tuple[str, ...]
    rows: Rows
    rescore: int
    why: str | None
    skip_person_check: bool
    engine: str
    faces: bool
    store: str | None
    folder: Path | None
    rerank: bool = False
    each: bool = False
    also: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    include_unseen: bool = False


def search_gallery(
    asked: GallerySearch, sheet: Path | None, page: Path | None, table: Path | None, as_json: bool
) -> int:
    """Search, note it, print and write; return the exit code."""
    where = filter_of(asked)
    with opened(asked.store, asked.folder) as store:
        searcher = Searcher(store, asked.gallery)
        positives, fingerprint, images, negatives, own = query_of(asked, store)
        query = Query(
            positives,
            fingerprint,
            negatives,
            where,
            asked.rows,
            asked.top,
            asked.rescore,
            asked.mode,
            own=own,
            rerank=asked.rerank,
        )
        found = audited_search(searcher, query, who=user(), why=asked.why)
    if as_json:
        from unveil.gallery.output.report import report_dict

        typer.echo(json.dumps(report_dict(found), indent=2))
    else:
        _print(found, asked)
    if sheet is not None or page is not None or table is not None:
        _write(found, images, asked, sheet=sheet, reports=(page, table))
    return 0


def _write(
    found: SearchResult,
    images: list[np.ndarray],
    asked: GallerySearch,
    *,
    sheet: Path | None,
    reports: tuple[Path | None, ...],
) -> None:
    from unveil.gallery.output.report import answer_of, write_report
    from unveil.report.sheet import ranked_sheet

    if sheet is not None:
        ranked_sheet([answer_of(found, images, blur_faces=not asked.faces)], sheet, title=f"gallery {asked.gallery}")
    for path in reports:
        if path is not None:
            write_report(found, images, path=path, blur_faces=not asked.faces, title=f"Search in {asked.gallery}")
    for path in (sheet, *reports):
        if path is not None:
            typer.echo(f"wrote {path}", err=True)


def filter_of(asked: GallerySearch) -> Filter:
    """Return which rows take part."""
    return Filter(
        cameras=asked.cameras,
        start=seconds(asked.start, "--from"),
        end=seconds(asked.end, "--to"),
        tags=asked.tags,
        min_visible=asked.min_visible,
        rows=asked.rows,
        attributes=asked.attributes,
        include_unseen=asked.include_unseen,
    )


def _print(found: SearchResult, asked: GallerySearch) -> None:
    columns = ("rank", "row", "distance", *(("probability",) if found.calibrated else ()), "camera", "time", "why")
    drawn = Table(*columns, title=f"{asked.query} in {asked.gallery}")
    for rank, hit in enumerate(found.hits, 1):
        sure = () if hit.probability is None else (f"{hit.probability:.0%}",)
        place = (hit.item.camera or "", time_text(hit.item.time), hit.reason)
        drawn.add_row(str(rank), str(hit.item.id), f"{hit.distance:.4f}", *sure, *place)
    if found.hits:
        Console().print(drawn)
    for note in found.notes:
        typer.echo(note)
    typer.echo(
        f"{found.candidates} rows, {found.rescored} compared exactly (first stage: {found.first_stage}), "
        f"{found.milliseconds:.0f} ms; query {found.query_hash}"
    )
    typer.echo(f"model {found.model}")


def query_of(
    asked: GallerySearch, store: Store
) -> tuple[Embedding, str, list[np.ndarray], Embedding | None, tuple[int, ...]]:
    """Return positives, the fingerprint of their model, images to show, negatives, and rows that are the query."""
    embedded = asked.query.startswith(ROW) or asked.query.endswith(".safetensors")
    samples = (
        [] if embedded else [s for s in crops_of(asked.query).samples if asked.only is None or asked.only in s.key]
    )
    if not embedded:
        _one_person(len(samples), asked)
    count = len(samples) + len(asked.negatives)
    engine = engine_for(asked, store, count) if count else None
    parser = None if engine is None else find_parser()
    if asked.query.startswith(ROW):
        negatives = negatives_of(asked, engine, parser)
        fingerprint = store.info(asked.gallery).space.fingerprint if engine is None else engine.fingerprint
        number, embedding, images = _stored(asked, store)
        return embedding, fingerprint, images, negatives, (number,)
    if asked.query.endswith(".safetensors"):
        crops = load_embeddings(Path(asked.query))
        rows = [i for i, s in enumerate(crops.samples) if asked.only is None or asked.only in s.key]
        _one_person(len(rows), asked)
        negatives = negatives_of(asked, engine, parser, query=crops.fingerprint)
        return crops.embedding.select(rows), crops.fingerprint, [], negatives, ()
    assert engine is not None
    negatives = negatives_of(asked, engine, parser)
    images = [cut(read_sample(s), asked.box, name=s.key) for s in samples]
    keys = [s.key for s in samples]
    positives = embed_person(images, keys, engine=engine, parser=parser, skip_person_check=asked.skip_person_check)
    return positives, engine.fingerprint, images, negatives, ()


def engine_for(asked: GallerySearch, store: Store, crops: int) -> Engine:
    """Return what embeds so many images for the gallery; another model than the gallery's is refused at once.

    Raises:
        DataError: it is another one, or there is no such gallery.
        CheckpointError: it cannot be read.
    """
    check = store.info(asked.gallery).space.check_model
    return load_engine(asked.model, asked.engine, crops=crops, check=check)


def _stored(asked: GallerySearch, store: Store) -> tuple[int, Embedding, list[np.ndarray]]:
    number = asked.query[len(ROW) :]
    if not number.isdecimal() or len(number) > 18:
        raise DataError(f"a row is named as row:17, got {asked.query!r}")
    ids, embedding = store.embeddings(asked.gallery, [int(number)])
    if not len(ids):
        raise DataError(f"gallery {asked.gallery!r} has no row {number}")
    images = [read_image(item.thumbnail) for item in store.items(asked.gallery, [int(number)])]
    return int(number), embedding, images


def _one_person(count: int, asked: GallerySearch) -> None:
    if not count:
        raise DataError(f"no query crop in {asked.query}" + (f" has {asked.only!r} in its key" if asked.only else ""))
    if count > 1 and not asked.one_person:
        raise DataError(
            f"{asked.query} has {count} crops: a gallery is searched for one person at a time; --one-person takes "
            "all of them for one, --each makes each a query of its own, --only picks some"
        )


def negatives_of(
    asked: GallerySearch, engine: Engine | None, parser: OnnxParser | None, *, query: str | None = None
) -> Embedding | None:
    """Return the embedding of the people who are not meant.

    Args:
        asked: names their images.
        engine: embeds them; ``None`` where there are none.
        parser: cuts people out of them.
        query: fingerprint of the model that embedded the query, where it was embedded before.

    Raises:
        CheckpointError: the query was embedded by another model.
        DataError: an image cannot be read.
    """
    if engine is None:
        return None
    if query is not None:
        same_fingerprint(query, engine.fingerprint, what="the images of --not")
    images, names = [read_image(path) for path in asked.negatives], [str(path) for path in asked.negatives]
    return embed_person(images, names, engine=engine, parser=parser, skip_person_check=True)
