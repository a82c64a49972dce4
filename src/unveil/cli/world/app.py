"""``unveil world``: synthetic people as a dataset, as a contact sheet, or as a video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from unveil.cli import help_panels

NAMES = "tiny, small, default, large"
app = typer.Typer(name="world", help="Synthetic people, rendered with exact labels.", no_args_is_help=True)

Source = Annotated[str, typer.Argument(help=f"{NAMES}, or the folder of a rendered world.")]
Seed = Annotated[int | None, typer.Option(help="Another world of the same size.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]


@app.command("render", epilog=help_panels.EXIT_CODES)
def render(
    preset: Annotated[str, typer.Argument(help=f"{NAMES}.")] = "tiny",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the dataset; the cache by default.", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    people: Annotated[int | None, typer.Option(help="Number of people, instead of the preset's.")] = None,
    seed: Seed = None,
    street: Annotated[
        bool, typer.Option("--street", help="With cheap street cameras: casts, few pixels, noise, hard JPEG.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            help="All cores by default; the pixels do not depend on it.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the card of the dataset as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Render a world: crops, parsing maps, manifest and card. A render that was stopped resumes where it stopped.

    Without `--out` it goes where recipes look for it: `world:small` is then there at once.

    **Examples:** `unveil world render tiny`, `unveil world render small --people 40 --street`
    """
    from unveil.world.config import preset as plan_of
    from unveil.world.dataset import read_card, world_folder
    from unveil.world.generate import render_world

    world = plan_of(preset, people, seed=seed, street=street)
    folder = out or world_folder(preset, world)
    render_world(world, folder, processes=processes)
    card = read_card(folder)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **card}))
        return
    counts = card["statistics"]
    typer.echo(f"{counts['crops']} crops of {counts['people']} people from {counts['cameras']} cameras in {folder}")


@app.command("sheet", epilog=help_panels.EXIT_CODES)
def sheet(
    world: Source = "tiny",
    out: Annotated[Path, typer.Option(help="File to write, .png or .jpg.", rich_help_panel=help_panels.OUTPUT)] = Path(
        "sheet.jpg"
    ),
    show: Annotated[Literal["crops", "masks", "both"], typer.Option(help="Images, their masks, or both.")] = "crops",
    rows: Annotated[int, typer.Option(min=1, max=200, help="People on the sheet.")] = 10,
    columns: Annotated[int, typer.Option(min=1, max=200, help="Crops of each person.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Lay out crops, or their masks: a row a person. A preset that was not rendered yet is rendered first.

    **Examples:** `unveil world sheet tiny`, `unveil world sheet data/world --show both --rows 5 --out both.png`
    """
    from unveil.data.readers.manifest import FILE
    from unveil.world.contact_sheet import check_suffix, save_sheet
    from unveil.world.dataset import read, source_of

    check_suffix(out)
    read(Path(world))
    people, crops = save_sheet(source_of(Path(world))[0] / FILE, out, people=rows, columns=columns, show=show)
    if as_json:
        typer.echo(json.dumps({"sheet": str(out), "people": people, "crops": crops}))
    else:
        typer.echo(f"{crops} crops of {people} people on {out}")


@app.command("video", epilog=help_panels.EXIT_CODES)
def video(
    world: Source = "tiny",
    out: Annotated[
        Path, typer.Option(help="File to write, .mp4; its boxes go beside it.", rich_help_panel=help_panels.OUTPUT)
    ] = Path("people.mp4"),
    seconds: Annotated[float, typer.Option(help="Length, at most an hour.")] = 12.0,
    camera: Annotated[int, typer.Option(min=0, help="Which camera.")] = 1,
    people: Annotated[
        int | None, typer.Option(min=1, help="How many walk by, one after the other; six by default.")
    ] = None,
    old: Annotated[bool, typer.Option("--old", help="With an old camera: dim, pale, soft and noisy.")] = False,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Video people of a world walking by: full frames, and a CSV of everybody's box, identity and visible share.

    A preset need not be rendered for it.

    **Examples:** `unveil world video tiny`, `unveil world video small --camera 3 --people 12 --out people.mp4`
    """
    from unveil.world.dataset import plan_of
    from unveil.world.video import save_video

    boxes = save_video(plan_of(Path(world), seed), out, camera=camera, seconds=seconds, people=people, old=old)
    if as_json:
        typer.echo(json.dumps({"video": str(out), "boxes": str(boxes), "camera": camera, "seconds": seconds}))
    else:
        typer.echo(f"{out}, with boxes and identities in {boxes}")
