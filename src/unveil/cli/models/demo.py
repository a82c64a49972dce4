"""``unveil demo``: everything once, without any download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels

SEED = "1"  # people of seed 0 trained the network in the package
NEXT = """
Next:
  open {page}
  unveil search {out}/crops.safetensors {out}/crops.safetensors --only {query} --page mine.html
  unveil bench bot-world pab-world --data world:small --seeds 1
  unveil data check folder:/your/people
"""


def command(
    out: Annotated[
        Path, typer.Option(help="Folder for everything that the demo makes.", rich_help_panel=help_panels.OUTPUT)
    ] = Path("demo"),
    people: Annotated[int, typer.Option(min=14, help="How many people to render.")] = 80,
    overrides: Annotated[list[str] | None, typer.Argument(help="Changes to the recipe: key=value ...")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Render people, find occluded and re-dressed ones again, fine-tune for a minute, and write one HTML report.

    The people are others than those whom the network in the package was trained on.

    Needs no download and no GPU. A stopped demo resumes where it stopped when it is called again.

    **Example:** `unveil demo --out demo`
    """
    from unveil.cli.models.recipes import find_recipe
    from unveil.experiments.demo import change, run_demo, verdict
    from unveil.recipe import DataSource, load_recipe

    world = DataSource(name="world", root=Path("tiny"), options={"people": str(people), "seed": SEED})
    demo = run_demo(load_recipe(find_recipe("demo"), overrides or ()), world, out=out)
    if as_json:
        typer.echo(json.dumps({name: [r.to_json() for r in found] for name, found in demo.results.items()}))
        return
    for name, results in demo.results.items():
        for result in results:
            typer.echo(
                f"{name:>18}  {result.protocol:<14} Rank-1 {100 * result.cmc[1]:5.1f}  mAP {100 * result.mean_ap:5.1f}"
            )
    typer.echo(verdict(demo.results))
    typer.echo(change(demo.results))
    typer.echo(NEXT.format(page=demo.page, out=out, query=demo.query))
