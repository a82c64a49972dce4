"""``unveil embed``: crops in, one file of embeddings out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.choices import MODEL, EngineOption


def command(
    model: Annotated[Path, typer.Argument(help=MODEL)],
    source: Annotated[str, typer.Argument(help="A folder, a manifest (.csv), an image, or name:root of a dataset.")],
    out: Annotated[Path, typer.Option(help="File to write (safetensors).", rich_help_panel=help_panels.OUTPUT)] = Path(
        "embeddings.safetensors"
    ),
    split: Annotated[str | None, typer.Option(help="Only this split: train, query or gallery.")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:1 ...", rich_help_panel=help_panels.EXECUTION)
    ] = "auto",
    engine: EngineOption = "auto",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Embed crops with a model. Files that cannot be read are listed and left out.

    **Examples:** `unveil embed runs/bot crops/ --out crops.safetensors`,
    `unveil embed runs/bot market1501:/data/market --split gallery`
    """
    from unveil.cli.sources import crops_of
    from unveil.errors import DataError
    from unveil.inference.engine import Engine
    from unveil.inference.load import load_embedder
    from unveil.models.embed import embed_samples
    from unveil.models.embeddings import embedded_by, save_embeddings
    from unveil.models.locate import locate

    locate(model)  # before crops are looked for, which may be rendered
    dataset = crops_of(source)
    samples = [s for s in dataset.samples if split is None or s.split == split]
    if not samples:
        raise DataError(f"{source} has no crop of split {split!r}")
    embedder = load_embedder(model, engine, device=device, crops=len(samples))
    embedding, store = embed_samples(embedder, samples, cache=cache, scheme=dataset.parsing_scheme)
    name = f"{dataset.name}#{dataset.hash}"
    crops = embedded_by(embedder.summary, embedding, samples=store.samples, source=name)
    save_embeddings(out, crops)
    for bad in store.bad:
        typer.echo(f"left out: {bad}", err=True)
    shape = "x".join(map(str, embedding.vectors.shape))
    runs = embedder.kind if isinstance(embedder, Engine) else "torch"
    summary = {
        "file": str(out), "crops": len(crops.samples), "left_out": len(store.bad), "shape": shape, "engine": runs
    }  # fmt: skip
    typer.echo(json.dumps(summary) if as_json else f"{len(crops.samples)} crops ({shape}) in {out}")
    raise typer.Exit(1 if store.bad else 0)
