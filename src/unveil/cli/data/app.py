"""``unveil data``: the datasets that can be read, and a check of one of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.tables import Table

if TYPE_CHECKING:
    from unveil.data.check import Report

LINES_SHOWN = 20
app = typer.Typer(name="data", help="Datasets: which can be read, and is one of them whole?", no_args_is_help=True)


@app.command("check", epilog=help_panels.EXIT_CODES)
def check(
    dataset: Annotated[str, typer.Argument(help="Name of a dataset, or name:root?option=value.")],
    root: Annotated[Path | None, typer.Argument(help="Its folder or manifest, unless named above.")] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--csv", help="Write every file with a problem: problem,file,detail.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Read every file of a dataset: counts against the published ones, unreadable files, duplicates, names outside the
    filename pattern, gaps, and parsing maps whose size or labels do not fit.

    **Example:** `unveil data check market1501 /data/market1501`
    """
    from unveil.data.check import check_dataset
    from unveil.datasets import load_dataset
    from unveil.parsing.check import check_parsing
    from unveil.recipe import DataSource

    source = DataSource.of(dataset)
    if root is not None:
        source = source.model_copy(update={"root": root})
    loaded = load_dataset(source)
    report = check_dataset(loaded)
    maps = check_parsing(loaded)
    if table is not None:
        _write(table, [*report.rows(), *(("parsing map", "", problem) for problem in maps)])
    if as_json:
        typer.echo(json.dumps(report.to_dict() | {"parsing": maps, "clean": report.clean and not maps}, indent=2))
    else:
        _show(report, maps)
    if maps or not report.clean:
        raise typer.Exit(1)


@app.command("list", epilog=help_panels.EXIT_CODES)
def list_datasets(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
    markdown: Annotated[
        bool, typer.Option(help="Print the page of the documentation.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """List the datasets that can be read, with their options.

    **Example:** `unveil data list`
    """
    from unveil.datasets.describe import as_page, entries

    if as_json:
        typer.echo(json.dumps([{**dataclasses.asdict(e), "options": list(e.options)} for e in entries()], indent=2))
        return
    if markdown:
        typer.echo(as_page(), nl=False)
        return
    table = Table("name", "about", "options")
    for entry in entries():
        table.add_row(entry.name, entry.about, "\n".join(f"{name}: {kind}" for name, kind in entry.options.items()))
    Console().print(table)


def _write(path: Path, rows: list[tuple[str, str, str]]) -> None:
    import csv
    import io

    from unveil.atomic_io import write_text
    from unveil.report.spreadsheet import cell

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("problem", "file", "detail"), *(map(cell, row) for row in rows)])
    write_text(path, text.getvalue())


def _show(report: Report, maps: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table("count", "found", "published", title=report.dataset)
    for name in dict.fromkeys((*report.counts, *report.published)):
        published = report.published.get(name)
        style = "red" if name in report.differences else None
        table.add_row(name, str(report.counts.get(name, 0)), "" if published is None else str(published), style=style)
    console.print(table)
    for note in report.notes:
        if note not in report.listed:
            console.print(f"note: {note}", markup=False)
    for note, files in report.listed.items():
        _list(console, note, list(files))
    gaps = ", ".join(f"{column} ({count})" for column, count in report.unknown.items())
    if gaps:
        console.print(f"unknown, in crops: {gaps}", markup=False)
    _list(console, "unreadable files", [str(bad) for bad in report.unreadable])
    _list(console, "files with the same bytes", [" = ".join(group) for group in report.duplicates])
    across = [" = ".join(group) for group in report.across]
    _list(console, "of these, in training and test or under two persons", across)
    _list(console, "persons seen by one camera only", list(report.single_camera))
    _list(
        console, "counts that are not as published", [f"{n}: {f}, not {p}" for n, (f, p) in report.differences.items()]
    )
    _list(console, "parsing maps that cannot be used", maps)
    console.print("clean" if report.clean and not maps else "problems were found")


def _list(console: Console, title: str, lines: list[str]) -> None:
    if not lines:
        return
    console.print(f"{title}: {len(lines)}", markup=False)
    for line in lines[:LINES_SHOWN]:
        console.print(f"  {line}", markup=False)
    if len(lines) > LINES_SHOWN:
        console.print(f"  ... and {len(lines) - LINES_SHOWN} more (--json or --csv lists them all)", markup=False)
