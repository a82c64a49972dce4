"""``unveil search``: where else is this person?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from unveil.errors import DataError

if TYPE_CHECKING:
    from unveil.models.embeddings import EmbeddedCrops


def command(
    query: Annotated[str, typer.Argument(help="Query crops: an image, a folder, a manifest, or a file of embeddings.")],
    gallery: Annotated[Path, typer.Argument(help="File of embeddings to search in (`unveil embed` makes it).")],
    model: Annotated[Path | None, typer.Option(help="Model that embeds the query; not needed for embeddings.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Results for each query.")] = 10,
    one_person: Annotated[bool, typer.Option(help="All query crops show one person: give one list.")] = False,
    only: Annotated[str | None, typer.Option(help="Only query crops whose key contains this text.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the ranked sheet as a picture (.png).")] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write the ranked sheet as one self-contained page (.html).")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    cache: Annotated[Path | None, typer.Option(help="Folder of decoded images.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranked lists as JSON.")] = False,
) -> None:
    """Rank a gallery for each query crop, exactly; show why, as a table, a picture or a page.

    **Example:** `unveil search query.jpg gallery.safetensors --model runs/bot --page result.html`
    """
    from unveil.cli.ranked import rank, show
    from unveil.models.embeddings import load_embeddings, same_model

    found = load_embeddings(gallery)
    asked, bad = _query(query, model, only, device, cache)
    same_model(asked, found)
    if not asked.samples:
        raise DataError(f"no query crop in {query}" + (f" has {only!r} in its key" if only else ""))
    lists = rank(asked, found, top, one_person)
    for line in bad:
        typer.echo(f"left out: {line}", err=True)
    if as_json:
        typer.echo(json.dumps([ranked.to_dict() for ranked in lists], indent=2))
    else:
        for ranked in lists:
            table = Table("rank", "distance", "crop", "person", "camera", title=f"query {ranked.title}")
            for hit in ranked.hits:
                s = hit.sample
                table.add_row(str(hit.rank), f"{hit.distance:.4f}", s.key, s.person or "", s.camera or "")
            Console().print(table)
    header = {"model": found.fingerprint, "gallery": found.source, "distance": found.embedding.metric}
    for path in show(lists, sheet, page, header):
        typer.echo(f"wrote {path}", err=True)
    raise typer.Exit(1 if bad else 0)


def _query(
    query: str, model: Path | None, only: str | None, device: str, cache: Path | None
) -> tuple[EmbeddedCrops, list[str]]:
    """Return the query crops with their embedding, and a line for each file that cannot be read."""
    from unveil.cli.sources import crops_of
    from unveil.errors import RecipeError
    from unveil.models.checkpoint import load_model
    from unveil.models.device import pick_device
    from unveil.models.embed import embed_samples
    from unveil.models.embeddings import EmbeddedCrops, load_embeddings

    if query.endswith(".safetensors"):
        crops = load_embeddings(Path(query))
        rows = [i for i, s in enumerate(crops.samples) if only is None or only in s.key]
        picked = tuple(crops.samples[i] for i in rows)
        return EmbeddedCrops(crops.embedding.select(rows), picked, crops.fingerprint, crops.source), []
    if model is None:
        raise RecipeError(f"{query} must be embedded first: name the model with --model")
    trained = load_model(model, pick_device(device))
    dataset = crops_of(query)
    samples = [s for s in dataset.samples if only is None or only in s.key]
    if not samples:
        raise DataError(f"no query crop in {query} has {only!r} in its key")
    embedding, store = embed_samples(trained, samples, cache, dataset.parsing_scheme)
    return EmbeddedCrops(embedding, store.samples, trained.card.fingerprint, query), [str(bad) for bad in store.bad]
