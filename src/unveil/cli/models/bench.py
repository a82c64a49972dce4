"""``unveil bench``: several recipes on the same data, with several seeds, as one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


def command(
    recipes: Annotated[list[str], typer.Argument(help="Recipes by name or file; key=value changes all of them.")],
    data: Annotated[str, typer.Option(help="Dataset to train and test on.")] = "world:small",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each recipe.")] = 3,
    out: Annotated[Path, typer.Option(help="Folder of the runs.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "runs/bench"
    ),
    cache: Annotated[
        Path | None, typer.Option(help="Folder of decoded images.", rich_help_panel=help_panels.EXECUTION)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Compare recipes; a stopped grid resumes when called again.

    `--data viper:ROOT?splits=10` trains one model a split and averages; `data.test=[prid:ROOT?splits=10]` tests every
    model on ten splits of a set that it was not trained on.

    **Example:** `unveil bench bot-world pab-world ocnet-world --data world:small --seeds 3 train.epochs=20`
    """
    import json
    from dataclasses import asdict

    from unveil.atomic_io import write_text
    from unveil.cli.models.recipes import find_recipe
    from unveil.errors import RecipeError
    from unveil.experiments.ablation import as_markdown
    from unveil.experiments.grid import Cell, run_grid
    from unveil.methods.tables.table import Row, Table
    from unveil.recipe import load_recipe
    from unveil.source_text import is_override

    names = [name for name in recipes if not is_override(name)]
    if not names:
        raise RecipeError("name at least one recipe, for example: unveil bench bot-world pab-world")
    if any(name.startswith("train.seed=") for name in recipes):
        raise RecipeError("seeds are counted from 0 by --seeds; train.seed cannot be set here")
    changes = [f"data.train={data}", f"data.test={data}", *(name for name in recipes if is_override(name))]
    cells = [Cell(Path(name).stem, load_recipe(find_recipe(name), changes)) for name in names]
    figures = run_grid(cells, range(seeds), out=out, cache=cache)
    text = as_markdown(Table("", "", (), tuple(Row(cell.label) for cell in cells)), figures)
    write_text(out / "table.md", text)
    typer.echo(json.dumps([asdict(figure) for figure in figures]) if as_json else text)
