"""``unveil train``: train a recipe."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.terminal import set_up_terminal


def command(
    context: typer.Context,
    recipe: Annotated[
        str | None, typer.Argument(help="Recipe file (YAML), or the name of one of the package's recipes.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to the recipe: key=value ...")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "runs/latest"
    ),
    resume: Annotated[bool, typer.Option(help="Resume the run in --out.")] = False,
    init: Annotated[
        str | None, typer.Option(help="What the backbone starts from: imagenet, random, unveil:NAME or a file.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so much training, as Ctrl-C does.")] = None,
    devices: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Devices of this machine that share every batch; also under SLURM. torchrun needs no such option.",
            rich_help_panel=help_panels.EXECUTION,
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    list_recipes: Annotated[
        bool,
        typer.Option(
            "--list", help="List the package's recipes, and what they need.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = False,
    show: Annotated[
        bool,
        typer.Option(
            "--show", help="Print the recipe with all its keys, and train nothing.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the card of the model, or the list, as JSON.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = False,
) -> None:
    """Train a recipe; the run folder gets model, best model, metrics, recipe and training curves.

    Ctrl-C saves the state; `--resume` continues from it, bit-exactly on one device. With a larger `train.epochs` it
    trains a finished run on.

    `--devices 2` shares every batch between two GPUs, or two processes without one; so do `torchrun` and SLURM.

    **Examples:** `unveil train --list`, `unveil train bot-pool sampler.persons=8 --show`,
    `unveil train bot data.train=market1501:/data/market data.test=market1501:/data/market --out runs/bot`
    """
    from unveil.cli.models.recipes import find_recipe, print_recipes
    from unveil.errors import MissingExtraError
    from unveil.models.checkpoint import NAME as MODEL
    from unveil.models.checkpoint import load_model
    from unveil.recipe import load_recipe, save_recipe
    from unveil.source_text import is_override
    from unveil.training.loop import train, train_with
    from unveil.training.metrics import NAME, read_metrics
    from unveil.training.processes.launch import launch, started_by_torchrun

    if list_recipes:
        print_recipes(as_json=as_json)
        return
    changes = list(overrides or [])
    if recipe is not None and is_override(recipe):
        changes.insert(0, recipe)
        recipe = None
    if init is not None:
        changes.append(f"backbone.init={init}")
    chosen = load_recipe(find_recipe(recipe), changes)
    if show:
        typer.echo(save_recipe(chosen), nl=False)
        return
    if (devices or 1) > 1 or started_by_torchrun():
        task = partial(train_with, recipe=chosen, out=out, resume=resume, cache=cache, minutes=minutes)
        terminal = partial(set_up_terminal, quiet=context.find_root().params["quiet"])
        if not launch(task, devices=devices, device=chosen.train.device, terminal=terminal):
            return
        model = load_model(out / MODEL)
    else:
        model = train(chosen, out, resume=resume, cache=cache, minutes=minutes)
    try:
        from unveil.report.curves import training_curves

        training_curves(read_metrics(out / NAME), out / "curves.png")
    except MissingExtraError as e:
        typer.echo(f"no curves.png: {e}", err=True)
    if as_json:
        typer.echo(model.card.model_dump_json())
    else:
        typer.echo(f"model {model.card.fingerprint} in {out}")
