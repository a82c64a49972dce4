"""``unveil pretrain``: recipes at full size on rendered people, in slices of minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from unveil.cli import help_panels


def command(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(help="Recipes by name or file, all papers' by default; key=value changes all of them."),
    ] = None,
    size: Annotated[
        Literal["tiny", "small", "large"], typer.Option(help="large: full size; small: for two cores; tiny: a trial.")
    ] = "large",
    world: Annotated[str | None, typer.Option(help="Another world than that of the size, such as world:small.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each recipe.")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after about so long; the same command resumes.")] = 8.0,
    out: Annotated[
        Path, typer.Option(help="Folder of runs, models and caches.", rich_help_panel=help_panels.OUTPUT)
    ] = Path("runs/pretrain"),
) -> None:
    """Render a world, train recipes on it, measure and pack every model, in slices of minutes.

    Exit code 130 means that there is more to do, and the same command resumes, also after a kill. Every model is packed
    as half-precision shards with a card; `unveil models join` makes a model file of them. A recipe with a version for
    small machines (bot-world) is taken in that at the sizes small and tiny; any other (dual) is taken as it is.

    **Example:** `unveil pretrain bot pab combined --seeds 3 --minutes 8 --out runs/full`
    """
    from unveil.cli.models.recipes import find_recipe, recipe_names
    from unveil.experiments.pretrain import RECIPES, SIZES, run_slice
    from unveil.recipe import load_recipe
    from unveil.source_text import is_override

    chosen = SIZES[size]
    source = world or chosen.world
    names = [name for name in recipes or () if not is_override(name)]
    overrides = [name for name in recipes or () if is_override(name)]
    changes = [f"data.train={source}", f"data.test={source}", "train.eval_every=0", *chosen.changes, *overrides]
    known = recipe_names()
    loaded = []
    for name in names or RECIPES:
        sized = name + chosen.ending
        loaded.append((Path(name).stem, load_recipe(find_recipe(sized if sized in known else name), changes)))
    run_slice(out, loaded, world=source, seeds=seeds, minutes=minutes)
    typer.echo(f"finished: results in {out / 'runs' / 'results.csv'}, models in {out / 'models'}")
