"""``unveil gallery delete``, ``expire`` and ``export``: what goes out of a gallery, each noted in the audit log."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, duration, opened, timestamp
from unveil.errors import DataError
from unveil.gallery.audit import audited, user
from unveil.gallery.derived import touched

if TYPE_CHECKING:
    from unveil.gallery.records import DerivedModel, Filter
    from unveil.gallery.store.protocol import Store

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]
Name = Annotated[str, typer.Argument(help="Name of the gallery.")]
Persons = Annotated[
    list[str] | None,
    typer.Option("--person", help="Rows of this person; may be given again.", rich_help_panel=help_panels.ROWS),
]
Cameras = Annotated[
    list[str] | None,
    typer.Option("--camera", help="Rows of this camera; may be given again.", rich_help_panel=help_panels.ROWS),
]
Sources = Annotated[
    list[str] | None, typer.Option("--source", help="Rows of this image or video.", rich_help_panel=help_panels.ROWS)
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", help="Rows that have this tag; all of several.", rich_help_panel=help_panels.ROWS),
]
Rows = Annotated[
    list[int] | None,
    typer.Option("--id", help="This row, a crop or a tracklet; may be given again.", rich_help_panel=help_panels.ROWS),
]
Start = Annotated[
    str | None,
    typer.Option("--from", help="Not before: 2026-03-01T08:30 or seconds.", rich_help_panel=help_panels.ROWS),
]
End = Annotated[str | None, typer.Option("--to", help="Not after.", rich_help_panel=help_panels.ROWS)]
Why = Annotated[str | None, typer.Option(help="Reason, for the audit log.", rich_help_panel=help_panels.AUDIT)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def delete(
    name: Name,
    persons: Persons = None,
    cameras: Cameras = None,
    sources: Sources = None,
    tags: Tags = None,
    rows: Rows = None,
    start: Start = None,
    end: End = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The whole gallery; its audit log stays.", rich_help_panel=help_panels.ROWS)
    ] = False,
    why: Why = None,
    yes: Yes = False,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove rows with their vectors and images, for good. All conditions that are given must hold.

    A tracklet goes with its crops, and a crop with the tracklet that was made of it; the other crops stay. Images and
    videos themselves are not touched. Where a row that `--id` names is not there the exit code is 1.

    **Examples:**

    `unveil gallery delete station --camera gate --to 2026-02-01 --why "retention"`

    `unveil gallery delete shop --person p07 --yes`, `unveil gallery delete shop --id 114 --id 115`
    """
    where = _filter(persons, cameras, sources, tags, rows, start, end)
    if (where is None) != everything:
        raise DataError("say what to delete: --person, --camera, --source, --tag, --id, --from, --to; or --all")
    with opened(store, folder) as found:
        info = found.info(name)
        meant = None if where is None else found.ids(name, where)
        count = info.crops + info.tracklets if meant is None else len(meant)
        if not yes and count:
            _ask(f"{count} rows of {name!r}" if where else f"gallery {name!r} with {count} rows")
        with _audited(found, "delete", name, why=why, details={"where": _words(where), "rows": count}) as outcome:
            learnt = found.derived(name)
            gone = found.drop(name) if where is None else found.delete(name, where) if count else 0
            outcome["deleted"] = gone
            against = learnt if where is None else touched(learnt, found.derived(name))
            outcome |= {"learnt_by": [model.fingerprint for model in against]} if against else {}
    if as_json:
        typer.echo(json.dumps({"gallery": name, "deleted": gone}))
    else:
        typer.echo(f"{gone} rows deleted from {name}" if count else f"no row of {name} is meant: nothing was deleted")
    _warn_of(against)
    absent = sorted(set(rows or ()) - set(() if meant is None else meant.tolist()))
    for row in absent:
        typer.echo(f"row {row} is not there, or the other conditions leave it out", err=True)
    raise typer.Exit(1 if absent else 0)


def expire(
    name: Name,
    retention: Annotated[
        str | None, typer.Option(help="From now on keep rows for 90d, 12h ..., or forever; nothing is removed.")
    ] = None,
    at_most: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows that may go without being asked.")
    ] = 0.5,
    yes: Yes = False,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove the rows that are older than the gallery keeps them; run it from a timer. `--retention` sets how long.

    A clock that is wrong would make every row old: where more than the share of `--at-most` would go it asks, and in a
    timer, where nobody can answer, it refuses with exit code 2.

    **Examples:** `unveil gallery expire station --retention 30d`, `unveil gallery expire station`
    """
    with opened(store, folder) as found:
        if retention is not None:
            with _audited(found, "retention", name, details={"retention": retention}):
                found.set_retention(name, duration(retention))
            typer.echo(
                json.dumps({"gallery": name, "retention": retention})
                if as_json
                else f"{name} keeps rows for {retention}"
            )
            return
        info = found.info(name)
        if info.retention_seconds is None:
            raise DataError(f"gallery {name!r} keeps its rows forever: set how long with --retention 30d")
        now = time.time()
        count, total = found.count_old(name, now), info.crops + info.tracklets
        if not yes and count > at_most * total:
            _ask(
                f"{count} of the {total} rows of {name!r}, more than {at_most:.0%} at once (is the clock right? it is "
                f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC)"
            )
        with _audited(found, "expire", name, details={"rows": count}) as outcome:
            learnt = found.derived(name)
            outcome["expired"] = gone = found.expire(name, now)
            against = touched(learnt, found.derived(name))
            outcome |= {"learnt_by": [model.fingerprint for model in against]} if against else {}
    _warn_of(against)
    typer.echo(json.dumps({"gallery": name, "expired": gone}) if as_json else f"{gone} rows expired from {name}")


def export(
    name: Name,
    out: Annotated[Path, typer.Argument(help="File to write: .csv or .json.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder to write the images to as well.", rich_help_panel=help_panels.OUTPUT)
    ] = None,
    faces: Annotated[
        bool,
        typer.Option("--faces", help="Do not blur faces, as is done by default.", rich_help_panel=help_panels.OUTPUT),
    ] = False,
    persons: Persons = None,
    cameras: Cameras = None,
    sources: Sources = None,
    tags: Tags = None,
    rows: Rows = None,
    start: Start = None,
    end: End = None,
    why: Why = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the rows of a gallery as a table, and their images if wanted.

    **Example:** `unveil gallery export station rows.csv --camera gate --images thumbs`
    """
    from unveil.gallery.output.listing import write_listing
    from unveil.gallery.records import Filter
    from unveil.gallery.store.protocol import all_items

    where = _filter(persons, cameras, sources, tags, rows, start, end) or Filter()
    with opened(store, folder) as found:
        found.info(name)
        details = {"where": _words(where), "images": images is not None, "faces": faces}
        with _audited(found, "export", name, why=why, details=details) as outcome:
            count = write_listing(
                all_items(found, name, where=where), out, images=images, change=_as_it_is if faces else _blurred()
            )
            outcome["rows"] = count
    typer.echo(json.dumps({"file": str(out), "rows": count}) if as_json else f"{count} rows in {out}")


def _warn_of(models: Sequence[DerivedModel]) -> None:
    for model in models:
        typer.echo(
            f"model {model.fingerprint} ({model.model}) learnt from crops that are deleted now; docs/operator.md says "
            "what that asks of you",
            err=True,
        )


def _as_it_is(jpeg: bytes) -> bytes:
    return jpeg


def _blurred() -> Callable[[bytes], bytes]:
    """Return what blurs the faces of an image."""
    from unveil.data.images import read_image
    from unveil.gallery.ingest.adding import thumbnail
    from unveil.gallery.output.blur import blur_faces, face_parser

    parser = face_parser()
    return lambda jpeg: thumbnail(blur_faces([read_image(jpeg)], parser)[0])


def _filter(
    persons: list[str] | None,
    cameras: list[str] | None,
    sources: list[str] | None,
    tags: list[str] | None,
    rows: list[int] | None,
    start: str | None,
    end: str | None,
) -> Filter | None:
    """Return the conditions of the options; ``None`` when none is given."""
    from unveil.gallery.records import Filter

    where = Filter(
        cameras=tuple(cameras or ()),
        start=timestamp(start, "--from"),
        end=timestamp(end, "--to"),
        tags=tuple(tags or ()),
        sources=tuple(sources or ()),
        persons=tuple(persons or ()),
        ids=tuple(rows) if rows else None,
    )
    return None if where == Filter() else where


def _words(where: Filter | None) -> dict[str, Any]:
    return {} if where is None else {k: v for k, v in asdict(where).items() if v != getattr(type(where), k)}


def _ask(what: str) -> None:
    """Return when somebody says that it shall be deleted; raise DataError otherwise."""
    if not sys.stdin.isatty():
        raise DataError(f"this deletes {what} for good: repeat it with --yes")
    try:
        sure = typer.confirm(f"Delete {what} for good?")
    except typer.Abort as e:
        if isinstance(e.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None  # else it would end as a command that found problems does
        sure = False  # the end of the input is no yes
    if not sure:
        raise DataError("nothing was deleted")


def _audited(
    store: Store, action: str, gallery: str, *, details: dict[str, Any], why: str | None = None
) -> AbstractContextManager[dict[str, Any]]:
    entry = {"who": user(), "action": action, "gallery": gallery, "why": why, "details": details}
    return audited(store.log, entry)
