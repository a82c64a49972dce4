"""``unveil case``: cases of a store, and the archives that hand them on."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.cli.tables import Table
from unveil.errors import DataError

if TYPE_CHECKING:
    from unveil.gallery.case_records import Case
    from unveil.gallery.store.protocol import Store

app = typer.Typer(
    help="Cases: searches and sightings that are kept, and archives of them that can be checked.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]
Name = Annotated[str, typer.Argument(help="Name of the case.")]


@app.command("list", epilog=help_panels.EXIT_CODES)
def list_cases(store: StoreOption = None, folder: FolderOption = None, as_json: AsJson = False) -> None:
    """List the cases of a store, the one that changed last first.

    **Example:** `unveil case list`
    """
    from unveil.gallery.output.timeline import time_text

    with opened(store, folder) as found:
        cases = found.cases.all()
    if as_json:
        typer.echo(json.dumps([asdict(case) for case in cases], indent=2))
        return
    table = Table("case", "name", "opened by", "members", "searches", "bookmarks", "changed")
    for case in cases:
        counts = (str(case.queries), str(case.bookmarks), time_text(case.changed))
        table.add_row(str(case.id), case.name, case.creator, ", ".join(case.members), *counts)
    Console().print(table)


@app.command("show", epilog=help_panels.EXIT_CODES)
def show(name: Name, store: StoreOption = None, folder: FolderOption = None, as_json: AsJson = False) -> None:
    """Print what is in a case: notes, searches, sightings, and what went from it with rows that were removed.

    **Example:** `unveil case show "Stolen bicycle"`
    """
    with opened(store, folder) as found:
        case = found.cases.named(name)
        _log(found, case, "open")
        rows = {(m.gallery, m.item): found.items(m.gallery, [m.item]) for m in case.bookmarks}
    if as_json:
        typer.echo(json.dumps(asdict(case), indent=2))
        return
    from unveil.gallery.output.timeline import time_text

    members = f"; members {', '.join(case.members)}" if case.members else ""
    typer.echo(f"{case.name}: case {case.id}, opened by {case.creator} on {time_text(case.created)}{members}")
    if case.notes:
        typer.echo(f"\n{case.notes}\n")
    if case.queries:
        table = Table("search", "name", "galleries", "images", "rows", "kept by", "query")
        for query in case.queries:
            galleries = ", ".join(query.galleries)
            sizes = (str(len(query.images)), str(len(query.positives) + len(query.negatives)))
            table.add_row(str(query.id), query.name, galleries, *sizes, query.who, query.hash[:12])
        Console().print(table)
    if case.bookmarks:
        table = Table("gallery", "row", "camera", "time", "note", "by")
        for mark in case.bookmarks:
            row = next(iter(rows[mark.gallery, mark.item]), None)
            place = ("", "") if row is None else (row.camera or "", time_text(row.time))
            table.add_row(mark.gallery, str(mark.item), *place, mark.note, mark.who)
        Console().print(table)
    for removal in case.removals:
        typer.echo(str(removal))


@app.command("export", epilog=help_panels.EXIT_CODES)
def export(
    name: Name,
    out: Annotated[Path, typer.Argument(help="Archive to write (.zip); it must not exist yet.")],
    sources: Annotated[
        list[Path] | None,
        typer.Option(help="Folder in which images and videos of rows may be read, for frames and clips; repeat it."),
    ] = None,
    clips: Annotated[bool, typer.Option(help="Cut a clip around each sighting, where its video is there.")] = True,
    faces: Annotated[
        bool,
        typer.Option(
            help="Show faces; then frames are whole, and there are clips.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = False,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Write a case as one archive: report, crops, frames, clips, searches, audit extract, the model's card, all hashed.

    The same case gives the same bytes. Its SHA-256 is entered into the audit log. Without `--faces` faces are blurred,
    frames show nothing but the person, and there are no clips.

    **Example:** `unveil case export "Stolen bicycle" bicycle.zip --sources /films --faces`
    """
    from unveil.atomic_io import sha256
    from unveil.gallery.audit import user
    from unveil.gallery.cases.log import case_entries
    from unveil.gallery.cases.package import MAX_CLIPS, write_package
    from unveil.gallery.sources.roots import SourceRoots

    if out.exists():
        raise DataError(f"{out} is there already: an archive does not replace another")
    roots = SourceRoots(tuple(sources or ()))
    with opened(store, folder) as found:
        case = found.cases.named(name)
        manifest = write_package(
            found, case, out=out, sources=roots, blurred=not faces, most_clips=MAX_CLIPS if clips else 0
        )
        hash = sha256(out)
        try:
            for entry in case_entries(case, "export", who=user(), rows=True, sha256=hash, faces=manifest.faces):
                found.log(entry)
        except BaseException:  # what cannot be logged is not handed out
            out.unlink(missing_ok=True)
            raise
    if as_json:
        typer.echo(json.dumps({"file": str(out), "sha256": hash, "manifest": manifest.model_dump(mode="json")}))
        return
    for sentence in manifest.left_out:
        typer.echo(f"left out: {sentence}", err=True)
    typer.echo(f"{out}: {len(manifest.files)} files, faces {manifest.faces}; SHA-256 {hash}")


@app.command("verify", epilog=help_panels.EXIT_CODES)
def verify(
    path: Annotated[Path, typer.Argument(help="A file that `unveil case export` or the page wrote.")],
    sha256: Annotated[str | None, typer.Option(help="SHA-256 that it must have, as the audit log has it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a case package: every file, every entry of its audit extract, every byte between; say what was changed.

    Nothing but the file is needed. Whoever writes a whole new package can give it new hashes: the audit log of the
    store that wrote it has the SHA-256 of the file (`unveil audit show`), and `--sha256` compares it.

    **Example:** `unveil case verify bicycle.zip`
    """
    from unveil import atomic_io as files
    from unveil.gallery.cases.verify import verify_package

    manifest, wrong = verify_package(path)
    hash = files.sha256(path)
    if sha256 is not None and sha256.strip().lower() != hash:
        wrong = [*wrong, f"{path} has the SHA-256 {hash}, not {sha256.strip()}: it is another file"]
    told = None if manifest is None else manifest.case
    if as_json:
        typer.echo(json.dumps({"file": str(path), "case": told, "sha256": hash, "wrong": wrong}))
    elif wrong:
        for sentence in wrong:
            typer.echo(sentence)
    else:
        assert manifest is not None  # or something is wrong
        typer.echo(f"{path}: case {told!r}, {len(manifest.files)} files, sound; SHA-256 {hash}")
    raise typer.Exit(1 if wrong else 0)


def _log(store: Store, case: Case, what: str) -> None:
    from unveil.gallery.audit import user
    from unveil.gallery.cases.log import case_entries

    for entry in case_entries(case, what, who=user(), rows=True):
        store.log(entry)
