"""``unveil ablate-all``: every ablation table of every method with one budget, as CSV and on a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


def command(
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to all recipes: key=value ...")] = None,
    data: Annotated[str, typer.Option(help="Dataset to train and test on.")] = "world:small",
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="Only the tables of this method; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each row, one after the other for all tables.")] = 3,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long; called again it resumes.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "runs/ablate"
    ),
    csv: Annotated[
        Path | None,
        typer.Option(help="CSV of the figures; OUT/ablations.csv by default.", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Page whose tables are written from the CSV.", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Run every ablation table of every method, from the recipes METHOD-world; a stopped run resumes when called again.

    All rows have one backbone and one budget, those of the overrides; rows that train alike are trained once. Each run
    keeps its model; --page writes the tables between the marks of a page such as docs/ablations.md.

    **Example:** `unveil ablate-all --data "world:default?seed=1" "data.test=[world:small,world:default]" --minutes 240`
    """
    import json
    from dataclasses import asdict

    from unveil.atomic_io import write_text
    from unveil.cli.models.recipes import find_recipe
    from unveil.errors import InterruptedRunError, RecipeError
    from unveil.experiments.ablation import tables
    from unveil.experiments.ablation_page import render
    from unveil.experiments.all_tables import read_lines, run_tables
    from unveil.methods import METHODS
    from unveil.recipe import load_recipe

    for name in methods or ():
        if not tables(name):
            raise RecipeError(f"the paper of {name} has no ablation table here")
    changes = [f"data.train={data}", f"data.test={data}", *(overrides or [])]
    chosen = methods or [name for name in METHODS if tables(name)]
    recipes = {name: load_recipe(find_recipe(f"{name}-world"), changes) for name in chosen}
    path = csv or out / "ablations.csv"
    stopped: InterruptedRunError | None = None
    try:
        run_tables(recipes, seeds, out=out, table=path, cache=cache, minutes=minutes)
    except InterruptedRunError as e:  # what is finished is shown all the same
        stopped = e
    lines = read_lines(path)
    if page is not None:
        write_text(page, render(page.read_text(encoding="utf-8"), lines))
    typer.echo(json.dumps([asdict(line) for line in lines]) if as_json else f"{len(lines)} figures in {path}")
    if stopped is not None:
        raise stopped
