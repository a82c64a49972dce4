"""``unveil methods``: the methods, what they need, and what they cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.tables import Table


def command(
    backbone: Annotated[str, typer.Option(help="Backbone to measure with.")] = "resnet50",
    height: Annotated[int, typer.Option(min=32, max=1024, help="Input height in pixels.")] = 256,
    width: Annotated[int, typer.Option(min=16, max=1024, help="Input width in pixels.")] = 128,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
) -> None:
    """List the methods with their paper, what they need, parameters, multiply-adds and feature size.

    **Example:** `unveil methods --backbone resnet18 --height 128 --width 64`
    """
    from unveil.methods import METHODS
    from unveil.methods.summary import describe
    from unveil.recipe import BackboneChoice, InputSettings

    size = InputSettings(height=height, width=width)
    rows = [describe(name, BackboneChoice(name=backbone), size=size) for name in METHODS]
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table("method", "trains on", "parameters", "multiply-adds", "features")
    for row in rows:
        features = f"{len(row.vectors)} x {row.dimensions}"
        cost = (f"{row.parameters / 1e6:.1f} M", f"{row.multiply_adds / 1e9:.2f} G")
        table.add_row(row.method, ", ".join(("identities", *row.requirements)), *cost, features)
    Console().print(table)
    for row in rows:
        typer.echo(f"{row.method}: {row.paper}")
