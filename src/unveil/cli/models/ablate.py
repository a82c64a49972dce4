"""``unveil ablate``: a table of a paper, run on your data, beside the paper's own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


def command(
    method: Annotated[str, typer.Argument(help="A method with an ablation table, for example oc4.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to the recipe: key=value ...")] = None,
    data: Annotated[str, typer.Option(help="Dataset to train and test on.")] = "world:small",
    table: Annotated[
        str | None,
        typer.Option(
            help="Short name of the table (see --list); the first by default.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe to vary; METHOD-world by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each row.")] = 3,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long; called again it resumes.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the runs; runs/ablate/METHOD/TABLE by default.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="List the tables of the method and exit.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Run a paper's ablation table: every row with every seed; a stopped grid resumes when called again.

    **Example:** `unveil ablate oc4 --data world:small --seeds 3 train.epochs=20`
    """
    import json
    from dataclasses import asdict

    from unveil.atomic_io import write_text
    from unveil.cli.models.recipes import find_recipe
    from unveil.experiments.ablation import as_markdown, cells_of, find_table, tables
    from unveil.experiments.grid import run_grid
    from unveil.recipe import load_recipe

    if show:
        for name, known in tables(method).items():
            typer.echo(f"{name}: {known.title}, {len(known.rows)} rows, the paper's on {known.dataset}")
        return
    chosen = find_table(method, table)
    changes = [f"data.train={data}", f"data.test={data}", *(overrides or [])]
    base = load_recipe(find_recipe(recipe or f"{method}-world"), changes)
    folder = out or Path("runs/ablate") / method / (table or next(iter(tables(method))))
    figures = run_grid(cells_of(chosen, base), range(seeds), out=folder, cache=cache, minutes=minutes)
    text = as_markdown(chosen, figures)
    write_text(folder / "table.md", text)
    typer.echo(json.dumps([asdict(figure) for figure in figures]) if as_json else text)
