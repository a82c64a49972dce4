"""Search in a file of embeddings: exactly, each query crop by itself or all of one person together."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.console import Console

from unveil.atomic_io import write_text
from unveil.bulk.shards import load_shards
from unveil.cli.search.ranked import show
from unveil.cli.sources import crops_of
from unveil.cli.tables import Table
from unveil.data.images import read_sample
from unveil.errors import DataError, ImageError
from unveil.gallery.ingest.quality import find_parser
from unveil.gallery.records import Mode
from unveil.gallery.search.query import Box, NoPersonDetectedError, check_people, cut
from unveil.gallery.search.ranked_lists import RankedList, rank
from unveil.inference.load import load_embedder
from unveil.models.embed import embed_samples
from unveil.models.embedder import Embedder
from unveil.models.embeddings import EmbeddedCrops, embedded_by, load_embeddings, same_fingerprint, same_model
from unveil.records import Embedding, Sample
from unveil.report.spreadsheet import cell


@dataclass(frozen=True)
class FileSearch:
    """What was asked on the command line; see `unveil.cli.search.command`."""

    query: str
    gallery: Path
    model: Path
    top: int
    one_person: bool
    only: str | None
    negatives: tuple[Path, ...]
    box: Box | None
    mode: Mode
    skip_person_check: bool
    faces: bool
    device: str
    engine: str
    cache: Path | None


def search_file(asked: FileSearch, sheet: Path | None, page: Path | None, table: Path | None, as_json: bool) -> int:
    """Search, print and write; return the exit code."""
    found = load_shards(asked.gallery) if asked.gallery.is_dir() else load_embeddings(asked.gallery)
    embedded = asked.query.endswith(".safetensors") and not asked.negatives
    embedder = None if embedded else load_embedder(asked.model, asked.engine, device=asked.device)
    query, bad = _query(asked, embedder, gallery=found.fingerprint)
    same_model(query, found)
    if not query.samples:
        raise DataError(f"no query crop in {asked.query}" + (f" has {asked.only!r} in its key" if asked.only else ""))
    negatives = _negatives(asked, embedder, query=query.fingerprint)
    lists = rank(query, found, top=asked.top, one_person=asked.one_person, negatives=negatives, mode=asked.mode)
    # One model by its fingerprint; a file made before names were kept has none.
    answered = found.identity if found.model else query.identity
    for line in bad:
        typer.echo(f"left out: {line}", err=True)
    if as_json:
        typer.echo(json.dumps([{"model": answered.to_dict()} | ranked.to_dict() for ranked in lists], indent=2))
    else:
        for ranked in lists:
            drawn = Table("rank", "distance", "crop", "person", "camera", title=f"query {ranked.title}")
            for hit in ranked.hits:
                s = hit.sample
                drawn.add_row(str(hit.rank), f"{hit.distance:.4f}", s.key, s.person or "", s.camera or "")
            Console().print(drawn)
        typer.echo(f"model {answered}")
    header = {"model": str(answered), "gallery": found.source, "distance": found.embedding.metric}
    written = show(lists, sheet, page, header, blur=not asked.faces)
    if table is not None:
        write_text(table, _csv(lists))
        written.append(table)
    for path in written:
        typer.echo(f"wrote {path}", err=True)
    return 1 if bad else 0


def _query(asked: FileSearch, embedder: Embedder | None, *, gallery: str) -> tuple[EmbeddedCrops, list[str]]:
    """Return the query crops with their embedding, and a line for each that cannot be read or shows nobody."""
    query, only = asked.query, asked.only
    if query.endswith(".safetensors"):
        crops = load_embeddings(Path(query))
        rows = [i for i, s in enumerate(crops.samples) if only is None or only in s.key]
        picked = tuple(crops.samples[i] for i in rows)
        return replace(crops, embedding=crops.embedding.select(rows), samples=picked), []
    assert embedder is not None
    same_fingerprint(embedder.summary.fingerprint, gallery)  # before any crop is read
    dataset = crops_of(query)
    samples = [s for s in dataset.samples if only is None or only in s.key]
    if not samples:
        raise DataError(f"no query crop in {query} has {only!r} in its key")
    if asked.box is not None:
        samples = [_boxed(sample, asked.box) for sample in samples]
    samples, empty = _with_people(samples, asked)
    embedding, store = embed_samples(embedder, samples, cache=asked.cache, scheme=dataset.parsing_scheme)
    crops = embedded_by(embedder.summary, embedding, samples=store.samples, source=query)
    return crops, [*empty, *(str(bad) for bad in store.bad)]


def _with_people(samples: list[Sample], asked: FileSearch) -> tuple[list[Sample], list[str]]:
    """Return the crops on which a person is seen, and a line for each other; refuse them where no query is left."""
    parser = None if asked.skip_person_check else find_parser()
    if parser is None:
        return samples, []
    kept, empty = [], []
    for sample in samples:
        try:
            check_people([read_sample(sample)], [sample.key], parser=parser)
        except NoPersonDetectedError as e:
            if asked.one_person:
                raise
            empty.append(str(e))
            continue
        except ImageError:
            pass  # named with the others that cannot be embedded
        kept.append(sample)
    if not kept:
        raise NoPersonDetectedError(empty[0])
    return kept, empty


def _boxed(sample: Sample, box: Box) -> Sample:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(cut(read_sample(sample), box, name=sample.key)).save(data, "PNG")
    return Sample(sample.key, data=data.getvalue(), person=sample.person, camera=sample.camera, time=sample.time)


def _negatives(asked: FileSearch, embedder: Embedder | None, *, query: str) -> Embedding | None:
    """Return the embedding of the people who are not meant, by the model of the query, which has this fingerprint."""
    if not asked.negatives:
        return None
    assert embedder is not None
    same_fingerprint(query, embedder.summary.fingerprint, what="the images of --not")
    embedding, store = embed_samples(embedder, [Sample(str(path), path) for path in asked.negatives], cache=asked.cache)
    if store.bad:
        raise DataError(str(store.bad[0]))
    return embedding


def _csv(lists: list[RankedList]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("query", "rank", "key", "path", "distance", "person", "camera"))
    for ranked in lists:
        for hit in ranked.hits:
            s = hit.sample
            row = (ranked.title, hit.rank, s.key, str(s.path or ""), hit.distance, s.person, s.camera)
            writer.writerow([cell(value) for value in row])
    return out.getvalue()
