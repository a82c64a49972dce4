"""``unveil models import``: a checkpoint of another toolkit becomes a model of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


def command(
    checkpoint: Annotated[Path, typer.Argument(help="File of PyTorch, or .safetensors.")],
    like: Annotated[str, typer.Option(help="Its toolkit: torchreid, fastreid, bot, cal, transreid or clipreid.")],
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Key of the recipe that differs, as in input.height=384."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights.")] = "unstated",
    name: Annotated[str | None, typer.Option(help="Install it under this name.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write (.safetensors); by default beside the checkpoint.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    replace: Annotated[bool, typer.Option(help="Write over a model that is there.")] = False,
) -> None:
    """Turn a checkpoint of another toolkit into a model: OSNets, ResNets and vision transformers.

    They are those of torchreid, FastReID, BoT, CAL, TransReID and CLIP-ReID.

    Backbone, pooling and neck are told from the tensors; what does not fit is named and nothing is written. No code in
    the file is run.

    **Examples:** `unveil models import osnet_x1_0_msmt17.pth --like torchreid --name osnet`,
    `unveil models import market_sbs_R50.pth --like fastreid --licence Apache-2.0`
    """
    from unveil.models.importing.checkpoint import import_checkpoint

    done = import_checkpoint(
        checkpoint, like, overrides=values or (), name=name, out=out, licence=licence, replace=replace
    )
    typer.echo(str(done))
