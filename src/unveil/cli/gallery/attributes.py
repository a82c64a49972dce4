"""``unveil gallery attributes``: what people wear and carry, for rows that were added before it was told."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.errors import MissingExtraError


def command(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    redo: Annotated[bool, typer.Option("--redo", help="Estimate the attributes of all rows anew.")] = False,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
) -> None:
    """Tell what people wear and carry from the stored images of rows that have no attributes yet.

    Rows that are added get theirs at once; this is for galleries from before. The same command again resumes after a
    stop; others search and add meanwhile. Where an image cannot be read the exit code is 1.

    **Example:** `unveil gallery attributes station`
    """
    from unveil.gallery.audit import audited, user
    from unveil.gallery.ingest.attributes import fill_attributes
    from unveil.gallery.ingest.quality import find_parser

    parser = find_parser()
    if parser is None:
        raise MissingExtraError("telling attributes", "onnx")
    with opened(store, folder) as found:
        found.info(name)
        entry = {"who": user(), "action": "attributes", "gallery": name, "details": {"redo": redo}}
        with audited(found.log, entry) as outcome:
            if redo:
                found.forget_attributes(name)
            filled = fill_attributes(found, name, parser=parser)
            outcome |= {"crops": filled.crops, "tracklets": filled.tracklets}
    if as_json:
        typer.echo(json.dumps({"gallery": name, **asdict(filled)}))
    else:
        typer.echo(f"{name}: attributes of {filled.crops} crops and {filled.tracklets} tracklets")
    for line in filled.bad:
        typer.echo(f"not read: {line}", err=True)
    raise typer.Exit(1 if filled.bad else 0)
