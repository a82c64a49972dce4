"""``unveil methods``: the methods, what they need, and what they cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def command(
    backbone: Annotated[str, typer.Option(help="Backbone to measure with.")] = "resnet50",
    height: Annotated[int, typer.Option(min=32, help="Input height in pixels.")] = 256,
    width: Annotated[int, typer.Option(min=16, help="Input width in pixels.")] = 128,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the methods with their paper, what they need, parameters, multiply-adds and feature size.

    **Example:** `unveil methods --backbone resnet18 --height 128 --width 64`
    """
    from unveil.methods import METHODS
    from unveil.methods.summary import describe

    rows = [describe(name, backbone=backbone, height=height, width=width) for name in METHODS]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("method", "needs to train", "parameters", "multiply-adds", "features", "paper")
    for row in rows:
        size = f"{row.vectors} x {row.dimensions}"
        table.add_row(
            row.name, row.needs, f"{row.parameters / 1e6:.1f} M", f"{row.multiply_adds / 1e9:.2f} G", size, row.paper
        )
    Console().print(table)
