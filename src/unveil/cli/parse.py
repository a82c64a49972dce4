"""``unveil parse``: run a human parser over a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    data: Annotated[str, typer.Argument(help="What to parse: name:root of a dataset, a manifest, a folder, an image.")],
    out: Annotated[Path, typer.Option(help="Where the tree parsing/<scheme>/... is written.")],
    model: Annotated[
        Path | None, typer.Option(help="Card (JSON) of an ONNX segmentation model, with the model beside it.")
    ] = None,
    maps: Annotated[Path | None, typer.Option(help="Folder of maps that another tool made, to be imported.")] = None,
    kind: Annotated[
        Literal["schp", "fields", "pixel_sampling"], typer.Option(help="What --maps holds; fields become pab6.")
    ] = "schp",
    scheme: Annotated[str | None, typer.Option(help="Label set of SCHP maps: lip20, atr18 or pascal7.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Crops at a time.")] = 16,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one inference; 0 leaves it to ONNX Runtime.")] = 0,
) -> None:
    """Parse every crop into `OUT/parsing/<scheme>/<relative image path>.png`; a second run goes on where it was.

    **Examples:**

    `unveil parse market1501:/data/market --model schp-atr.json --out /data/market`

    `unveil parse market1501:/data/market --maps schp_output --scheme atr18 --out /data/market`
    """
    from unveil.cli.sources import crops_of
    from unveil.errors import UnveilError
    from unveil.parsing.importing import import_maps
    from unveil.parsing.onnx_parser import OnnxParser
    from unveil.parsing.parse import parse_dataset

    if (model is None) == (maps is None):
        raise UnveilError("give either --model (a network to run) or --maps (a folder of another tool to import)")
    if maps is not None:
        typer.echo(str(import_maps(crops_of(data), maps, kind, out, scheme)))
        return
    assert model is not None
    report = parse_dataset(crops_of(data), OnnxParser(model, threads), out, batch)
    typer.echo(f"{report} in {out}")
    for problem in report.unreadable:
        typer.echo(problem, err=True)
    if report.unreadable:
        raise typer.Exit(1)
