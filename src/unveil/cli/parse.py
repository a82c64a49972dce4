"""``unveil parse``: run a human parser over a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    data: Annotated[str, typer.Argument(help="What to parse: name:root of a dataset, a manifest, a folder, an image.")],
    model: Annotated[Path, typer.Option(help="Card (JSON) of an ONNX segmentation model, with the model beside it.")],
    out: Annotated[Path, typer.Option(help="Where the tree parsing/<scheme>/... is written.")],
    batch: Annotated[int, typer.Option(min=1, help="Crops at a time.")] = 16,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one inference; 0 leaves it to ONNX Runtime.")] = 0,
) -> None:
    """Parse every crop into `OUT/parsing/<scheme>/<relative image path>.png`; a second run goes on where it was.

    **Examples:**

    `unveil parse market1501:/data/market --model schp-atr.json --out /data/market`

    `unveil parse crops/ --model parser.json --out maps/`
    """
    from unveil.cli.sources import crops_of
    from unveil.parsing.onnx_parser import OnnxParser
    from unveil.parsing.parse import parse_dataset

    report = parse_dataset(crops_of(data), OnnxParser(model, threads), out, batch)
    typer.echo(f"{report} in {out}")
    for problem in report.unreadable:
        typer.echo(problem, err=True)
    if report.unreadable:
        raise typer.Exit(1)
