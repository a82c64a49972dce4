"""``unveil models add``: the card of a ReID model of another project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from unveil.errors import CheckpointError


def command(
    file: Annotated[Path, typer.Argument(help="Model file: .onnx, or .xml with its .bin.")],
    like: Annotated[str, typer.Option(help="How it is fed: osnet, omz, imagenet, fastreid, bot, cal, transreid ...")],
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A value of the card that differs.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Install a copy under this name.")] = None,
    replace: Annotated[bool, typer.Option(help="Write over a card that is there.")] = False,
) -> None:
    """Write the card of a ReID model of another project, after trying it on two crops.

    The card lies beside the model, which then works wherever a model is asked for.

    **Examples:** `unveil models add osnet_x0_25.onnx --like osnet`,
    `unveil models add reid.xml --like omz --set licence=Apache-2.0 --name reid`
    """
    from unveil.inference.adding import add_model

    typer.echo(str(add_model(file, like, changes=dict(map(_pair, values or ())), name=name, replace=replace)))


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise CheckpointError(f"--set {text}: expected KEY=VALUE, as in channels=bgr or mean=[0.5,0.5,0.5]")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
