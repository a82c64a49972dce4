"""``unveil embed``: crops in, one file of embeddings out, or with Ray a folder of shards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unveil.cli import help_panels
from unveil.cli.choices import MODEL, EngineOption

if TYPE_CHECKING:
    from unveil.records import Dataset, Sample

FILE, FOLDER = Path("embeddings.safetensors"), Path("embeddings")


def command(
    model: Annotated[Path, typer.Argument(help=MODEL)],
    source: Annotated[str, typer.Argument(help="A folder, a manifest (.csv), an image, or name:root of a dataset.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write (safetensors), embeddings.safetensors by default; with --ray a folder of Parquet "
            "shards, embeddings by default.",
            rich_help_panel=help_panels.OUTPUT,
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split: train, query or gallery.")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1 ...", rich_help_panel=help_panels.EXECUTION)
    ] = "auto",
    engine: EngineOption = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Embed with Ray, in shards that a later run need not make again: local, on this machine, or HOST:PORT "
            "of a cluster.",
            rich_help_panel=help_panels.BULK,
        ),
    ] = None,
    actors: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes of Ray that embed (actors); as many as there is room for by default.",
            rich_help_panel=help_panels.BULK,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Threads of each actor; 1 by default.", rich_help_panel=help_panels.EXECUTION),
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="Crops of each shard; 1024 by default.", rich_help_panel=help_panels.BULK
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Embed crops with a model. Files that cannot be read are listed and left out.

    **Examples:** `unveil embed runs/bot crops/ --out crops.safetensors`,
    `unveil embed runs/bot market1501:/data/market --split gallery`,
    `unveil embed runs/bot crops/ --ray local --out shards`
    """
    from unveil.cli.sources import crops_of
    from unveil.errors import DataError
    from unveil.models.locate import locate

    in_shards = {"--actors": actors, "--threads": threads, "--shard-size": shard_size}
    useless = {"--cache": cache} if ray is not None else in_shards
    for option, value in useless.items():
        if value is not None:
            raise DataError(f"{option} would do nothing {'with' if ray is not None else 'without'} --ray")
    locate(model)  # before crops are looked for, which may be rendered
    dataset = crops_of(source)
    samples = [s for s in dataset.samples if split is None or s.split == split]
    if not samples:
        raise DataError(f"{source} has no crop of split {split!r}")
    if ray is None:
        summary, bad = _into_file(model, dataset, samples, out or FILE, device=device, engine=engine, cache=cache)
    else:
        given = {"actors": actors, "threads": threads, "shard_size": shard_size}
        settings = {"address": ray, "engine": engine, "device": device} | {k: v for k, v in given.items() if v}
        summary, bad = _into_shards(model, dataset, samples, out or FOLDER, settings)
    for line in bad:
        typer.echo(f"left out: {line}", err=True)
    where = summary.get("file") or f"{summary['shards']} shards in {summary['folder']}"
    typer.echo(json.dumps(summary) if as_json else f"{summary['crops']} crops ({summary['shape']}) in {where}")
    raise typer.Exit(1 if bad else 0)


def _into_file(
    model: Path, dataset: Dataset, samples: list[Sample], out: Path, *, device: str, engine: str, cache: Path | None
) -> tuple[dict[str, Any], list[str]]:
    """Embed in this process; return what is said of it, and a line for each crop that was left out."""
    from unveil.inference.engine import Engine
    from unveil.inference.load import load_embedder
    from unveil.models.embed import embed_samples
    from unveil.models.embeddings import embedded_by, save_embeddings

    embedder = load_embedder(model, engine, device=device, crops=len(samples))
    embedding, store = embed_samples(embedder, samples, cache=cache, scheme=dataset.parsing_scheme)
    name = f"{dataset.name}#{dataset.hash}"
    crops = embedded_by(embedder.summary, embedding, samples=store.samples, source=name)
    save_embeddings(out, crops)
    shape = "x".join(map(str, embedding.vectors.shape))
    runs = embedder.kind if isinstance(embedder, Engine) else "torch"
    summary = {
        "file": str(out), "crops": len(crops.samples), "left_out": len(store.bad), "shape": shape, "engine": runs
    }  # fmt: skip
    return summary, [str(bad) for bad in store.bad]


def _into_shards(
    model: Path, dataset: Dataset, samples: list[Sample], out: Path, settings: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Embed with Ray; return the same as `_into_file`."""
    from unveil.bulk.on_ray import RaySettings, embed_on_ray

    written = embed_on_ray(model, dataset, samples=samples, folder=out, settings=RaySettings(**settings))
    first = written.heads[0]
    summary = {
        "folder": str(out), "crops": written.crops, "left_out": len(written.left_out),
        "shape": f"{written.crops}x{len(first.names)}x{first.dimension}",
        "engine": ", ".join(sorted({head.engine for head in written.heads})), "shards": len(written.heads),
        "shards_made": written.made,
    }  # fmt: skip
    return summary, list(written.left_out)
