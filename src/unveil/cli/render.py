"""``unveil render``: a world of synthetic people, its contact sheet, or a video of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    preset: Annotated[
        str, typer.Argument(help="tiny, small, default, large, or the folder of a rendered world.")
    ] = "tiny",
    out: Annotated[Path | None, typer.Option(help="Folder of the dataset; the cache by default.")] = None,
    people: Annotated[int | None, typer.Option(help="Number of people, instead of the preset's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another world of the same size.")] = None,
    processes: Annotated[int | None, typer.Option(help="All cores by default.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet, .png or .jpg.")] = None,
    show: Annotated[Literal["crops", "masks", "both"], typer.Option(help="What the sheet shows.")] = "crops",
    rows: Annotated[int, typer.Option(min=1, help="People on the sheet.")] = 10,
    columns: Annotated[int, typer.Option(min=1, help="Crops of each person on the sheet.")] = 12,
    video: Annotated[Path | None, typer.Option(help="Write a full-frame MP4, and its boxes beside it.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of the video.")] = 12.0,
    camera: Annotated[int, typer.Option(min=0, help="Which camera films the video.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card of the dataset as JSON.")] = False,
) -> None:
    """Render synthetic people with exact labels. A render that was stopped goes on where it was.

    With `--video` alone, only the video is made.

    **Examples:** `unveil render tiny --sheet sheet.png`, `unveil render small --people 40 --out world`,
    `unveil render tiny --video people.mp4`
    """
    from unveil.data.manifest import FILE
    from unveil.errors import DataError
    from unveil.world.build import CARD, render_world
    from unveil.world.dataset import world_folder
    from unveil.world.plan import PRESETS
    from unveil.world.plan import preset as plan_of
    from unveil.world.sheet import save_sheet
    from unveil.world.video import save_video

    if video is not None:
        boxes = save_video(plan_of(preset, people, seed), video, camera, seconds)
        typer.echo(f"{video}, with boxes and identities in {boxes}", err=as_json)
        if sheet is None and out is None and not as_json:
            return
    if preset not in PRESETS and (Path(preset) / CARD).is_file():
        if out is not None or people is not None or seed is not None:
            raise DataError(f"{preset} is rendered already; --out, --people and --seed are for {', '.join(PRESETS)}")
        folder = Path(preset)
    else:
        world = plan_of(preset, people, seed)
        folder = out or world_folder(preset, people, seed)
        render_world(world, folder, processes)
    if sheet is not None:
        save_sheet(folder / FILE, sheet, rows, columns, show)
    card = json.loads((folder / CARD).read_text())
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **card}))
        return
    counts = card["statistics"]
    typer.echo(f"{counts['crops']} crops of {counts['people']} people from {counts['cameras']} cameras in {folder}")
    if sheet is not None:
        typer.echo(f"contact sheet: {sheet}")
