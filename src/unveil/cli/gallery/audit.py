"""``unveil audit``: who searched for whom and why, and whether the log is whole."""

from __future__ import annotations

import csv
import io
import json
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.cli.tables import Table
from unveil.errors import RecipeError

app = typer.Typer(help="Who searched for whom and why, and whether the log is whole.", no_args_is_help=True)
COLUMNS = ("number", "time", "who", "role", "action", "gallery", "why", "query", "results", "details", "hash")
GalleryOption = Annotated[str | None, typer.Option(help="Only entries about this gallery.")]


@app.command(epilog=help_panels.EXIT_CODES)
def verify(
    store: StoreOption = None,
    folder: FolderOption = None,
    noted: Annotated[str | None, typer.Option(help="Hash noted elsewhere that the log must have.")] = None,
    notes: Annotated[Path | None, typer.Option(help="File of `unveil audit head --to`: all its hashes.")] = None,
) -> None:
    """Check the whole chain; print the last hash, to be noted where nobody who can write the database can write.

    **Examples:** `unveil audit verify --noted 3f0c...`, `unveil audit verify --notes /mnt/witness/heads.jsonl`
    """
    from unveil.gallery import audit

    witnessed = [] if notes is None else audit.read_notes(notes)
    if noted is not None:
        witnessed.append((None, noted))
    with opened(store, folder) as log:
        head = log.head()
        wrong = audit.wrong(log.links(), head, noted=witnessed)
    for sentence in wrong:
        typer.echo(sentence)
    if wrong:
        raise typer.Exit(1)
    typer.echo(f"{head[0]} entries, sound; last hash {head[1]}")


@app.command(epilog=help_panels.EXIT_CODES)
def head(
    to: Annotated[
        Path | None, typer.Option(help="File to append it to, where nobody who can write the database can write.")
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
) -> None:
    """Print the last entry's number and hash as one line of JSON, for a witness to keep or to sign.

    What it prints to a file is signed by `ssh-keygen -Y sign -n unveil -f key head.json`.

    **Examples:** `unveil audit head --to /mnt/witness/heads.jsonl`, `unveil audit head`
    """
    from unveil.gallery import audit

    with opened(store, folder) as log:
        line = audit.note(*log.head(), time=time.time())
    if to is None:
        typer.echo(line)
        return
    audit.append_note(to, line)
    typer.echo(f"{line} noted in {to}", err=True)


@app.command(epilog=help_panels.EXIT_CODES)
def show(
    gallery: GalleryOption = None,
    who: Annotated[str | None, typer.Option(help="Only entries of this person.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, from the end.")] = 20,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the entries as JSON lines.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Print the last entries.

    **Example:** `unveil audit show --gallery station --last 5`
    """
    with opened(store, folder) as log:
        wanted = (entry for entry in log.entries(gallery) if who is None or _is_of(entry, who))
        entries = list(deque(wanted, last))
    if as_json:
        for entry in entries:
            typer.echo(json.dumps(entry))
        return
    table = Table("number", "time", "who", "role", "action", "gallery", "why", "results")
    for entry in entries:
        cells = [_text(entry, column) for column in ("number", "time", "who", "role", "action", "gallery", "why")]
        table.add_row(*cells, str(len(entry.get("results", []))))
    Console().print(table)


@app.command(epilog=help_panels.EXIT_CODES)
def export(
    out: Annotated[Path, typer.Argument(help="File to write: .jsonl or .csv.")],
    gallery: GalleryOption = None,
    store: StoreOption = None,
    folder: FolderOption = None,
) -> None:
    """Write the log to a file.

    **Example:** `unveil audit export audit.jsonl`
    """
    from unveil.atomic_io import write_text
    from unveil.report.spreadsheet import cell

    if out.suffix not in (".jsonl", ".csv"):
        raise RecipeError(f"expected a file that ends in .jsonl or .csv, got {out}")
    with opened(store, folder) as log:
        entries = list(log.entries(gallery))
    if out.suffix == ".jsonl":
        write_text(out, "".join(json.dumps(entry) + "\n" for entry in entries))
    else:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        writer.writerows([cell(_text(entry, column)) for column in COLUMNS] for entry in entries)
        write_text(out, text.getvalue())
    typer.echo(f"wrote {len(entries)} entries to {out}", err=True)


def _is_of(entry: dict[str, Any], who: str) -> bool:
    """Whether an entry is somebody's: by the whole name, or by that of the account."""
    return entry["who"] == who or str(entry["who"]).startswith(f"{who} (")


def _text(entry: dict[str, Any], column: str) -> str:
    value = entry.get(column)
    if column == "time":
        return datetime.fromtimestamp(entry["time"], UTC).isoformat(timespec="seconds")
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
