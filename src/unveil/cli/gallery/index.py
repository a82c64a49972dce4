"""``unveil gallery index``: the index by which the database itself searches galleries that outgrow the memory."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened


def command(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    least: Annotated[
        int | None,
        typer.Option(min=1, help="Build it from so many rows on; by default where it is faster. 1 always builds it."),
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
) -> None:
    """Build the index by which PostgreSQL searches a gallery itself.

    It pays for a gallery whose vectors do not fit into 4 GiB (two million rows of 512 numbers): smaller ones are
    searched in memory, exactly and without it. It may take hours; others search and add meanwhile, and rows that are
    added later join it. Stopped, the same command resumes. Milvus makes its own index: then this waits until it has
    all rows, as those just added are found less surely.

    **Examples:** `unveil gallery index station`, `unveil gallery index station --least 1`
    """
    from unveil.gallery.store.milvus.store import MilvusStore
    from unveil.gallery.store.postgresql.hnsw import WORTH_IT

    began = time.monotonic()
    with opened(store, folder) as found:
        info = found.info(name)
        rows = info.crops + info.tracklets
        needed = WORTH_IT if least is None else least
        elsewhere = isinstance(found, MilvusStore)
        if rows >= needed or elsewhere:
            typer.echo(f"{name}: indexing {rows} rows; they can be searched meanwhile", err=True)
        indexed = found.index(name, needed)
    seconds = time.monotonic() - began
    if as_json:
        told = {"gallery": name, "rows": rows, "least": needed, "indexed": indexed, "seconds": round(seconds, 3)}
        typer.echo(json.dumps(told))
    elif elsewhere:
        typer.echo(f"{name}: the index of Milvus has all {rows} rows, {seconds:.1f} s")
    elif indexed:
        typer.echo(f"{name}: {rows} rows have an index, {seconds:.1f} s")
    else:
        typer.echo(f"{name}: {rows} rows are too few for an index, from {needed} on it is built; --least 1 builds it")
