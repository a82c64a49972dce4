"""``unveil gallery``: people in images and videos, kept so that they can be searched."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.gallery import adapt as gallery_adapt
from unveil.cli.gallery import add as gallery_add
from unveil.cli.gallery import attributes as gallery_attributes
from unveil.cli.gallery import backup as gallery_backup
from unveil.cli.gallery import calibrate as gallery_calibrate
from unveil.cli.gallery import group as gallery_group
from unveil.cli.gallery import index as gallery_index
from unveil.cli.gallery import rows as gallery_rows
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.cli.tables import Table

app = typer.Typer(
    name="gallery",
    help="People in images and videos, kept so that they can be searched.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.command("add", epilog=help_panels.EXIT_CODES)(gallery_add.command)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]
Name = Annotated[str, typer.Argument(help="Name of the gallery.")]


@app.command("list", epilog=help_panels.EXIT_CODES)
def list_galleries(store: StoreOption = None, folder: FolderOption = None, as_json: AsJson = False) -> None:
    """List the galleries of a store.

    **Example:** `unveil gallery list`
    """
    with opened(store, folder) as found:
        galleries = found.galleries()
    if as_json:
        typer.echo(json.dumps([_told(info) for info in galleries], indent=2))
        return
    table = Table("gallery", "crops", "tracklets", "cameras", "from", "to", "kept for")
    for info in galleries:
        told = _told(info)
        cells = (told[k] for k in ("name", "crops", "tracklets", "cameras", "start", "end"))
        kept = "" if info.retention_seconds is None else f"{info.retention_seconds / 86_400:g} days"
        table.add_row(*map(_shown, cells), kept)
    Console().print(table)


@app.command("stats", epilog=help_panels.EXIT_CODES)
def stats(name: Name, store: StoreOption = None, folder: FolderOption = None, as_json: AsJson = False) -> None:
    """Say what is in a gallery: rows, cameras, times, how much of the people shows, and what it was made with.

    **Example:** `unveil gallery stats station`
    """
    from unveil.gallery.records import Filter
    from unveil.gallery.scoring import calibration

    with opened(store, folder) as found:
        info = found.info(name)
        cameras = {
            camera: {rows: len(found.ids(name, Filter(cameras=(camera,), rows=rows))) for rows in ("crop", "tracklet")}
            for camera in info.cameras
        }
        derived = found.derived(name)
        unseen = found.count_without_attributes(name)
        shown = {f"{share:.2f}": len(found.ids(name, Filter(min_visible=share))) for share in (0.25, 0.5, 0.75)}
    told = _told(info) | {
        "searched": {camera: counts["tracklet"] for camera, counts in cameras.items()},
        "crops_of_camera": {camera: counts["crop"] for camera, counts in cameras.items()},
        "rows_with_visible_share_of_at_least": shown,
        "rows_without_attributes": unseen,
        "vectors": list(info.space.names),
        "dimension": info.space.dimension,
        "metric": info.space.metric,
        "input": dict(info.space.input),
        "calibration_out_of_date": calibration.out_of_date(info),
        "second_model": _second(info),
        "models_adapted_to_it": [
            f"{m.fingerprint} ({m.model}): {m.crops} crops, {m.removed} of them deleted since" for m in derived
        ],
    }
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    table = Table("of " + name, "", show_header=False)
    for key, value in told.items():
        table.add_row(key.replace("_", " "), _shown(value))
    Console().print(table)


@app.command("verify", epilog=help_panels.EXIT_CODES)
def verify(name: Name, store: StoreOption = None, folder: FolderOption = None, as_json: AsJson = False) -> None:
    """Read every row of a gallery and say what is wrong with it.

    **Example:** `unveil gallery verify station`
    """
    with opened(store, folder) as found:
        info = found.info(name)
        wrong = found.verify(name)
    if as_json:
        typer.echo(json.dumps({"gallery": name, "rows": info.crops + info.tracklets, "wrong": wrong}))
    else:
        for sentence in wrong:
            typer.echo(sentence)
        if not wrong:
            typer.echo(f"{name}: {info.crops} crops and {info.tracklets} tracklets, sound")
    raise typer.Exit(1 if wrong else 0)


app.command("adapt", epilog=help_panels.EXIT_CODES)(gallery_adapt.command)
app.command("attributes", epilog=help_panels.EXIT_CODES)(gallery_attributes.command)
app.command("calibrate", epilog=help_panels.EXIT_CODES)(gallery_calibrate.command)
app.command("backup", epilog=help_panels.EXIT_CODES)(gallery_backup.backup)
app.command("restore", epilog=help_panels.EXIT_CODES)(gallery_backup.restore)
app.command("group", epilog=help_panels.EXIT_CODES)(gallery_group.command)
app.command("index", epilog=help_panels.EXIT_CODES)(gallery_index.command)
app.command("delete", epilog=help_panels.EXIT_CODES)(gallery_rows.delete)
app.command("expire", epilog=help_panels.EXIT_CODES)(gallery_rows.expire)
app.command("export", epilog=help_panels.EXIT_CODES)(gallery_rows.export)


def _told(info: Any) -> dict[str, Any]:
    """Return what is known of a gallery, in words for people and programs."""
    from unveil.gallery.scoring import calibration

    told = asdict(info)
    return {
        "name": told["name"],
        "crops": told["crops"],
        "tracklets": told["tracklets"],
        "cameras": list(told["cameras"]),
        "start": _time_text(told["start"]),
        "end": _time_text(told["end"]),
        "retention_seconds": told["retention_seconds"],
        "calibrated": bool(told["calibration"]) and not calibration.out_of_date(info),
        "fingerprint": told["space"]["fingerprint"],
        "created": _time_text(told["created"]),
    }


def _second(info: Any) -> str | None:
    """Return which other model's vectors are kept or made, in words."""
    if info.standby is None:
        return None
    what = "kept, so that the switch can be undone" if info.standby.kept else "being made"
    return f"{info.standby.space.fingerprint} ({info.standby.model}): its vectors are {what}"


def _time_text(seconds: float | None) -> str | float | None:
    """Return a date and time; a number where times only count from the start of a recording."""
    if seconds is None or not 1e8 <= seconds < 2.5e11:
        return seconds
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k}: {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
