"""``unveil gallery backup`` and ``restore``: a whole store in one file, while it is in use, and back."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.errors import DataError, UnveilError
from unveil.gallery.audit import audited, user, wrong

if TYPE_CHECKING:
    from unveil.gallery.store.postgresql.backup import Manifest
    from unveil.gallery.store.protocol import Store

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)]


def backup(
    out: Annotated[Path, typer.Argument(help="File to write; it must not exist yet.")],
    check: Annotated[
        bool, typer.Option(help="Read the file back, restore it into a temporary store and verify all of it.")
    ] = True,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Write all galleries and the audit log to one file, as they are at one moment, while others use them.

    A folder that is copied while its server runs is no backup: it need not be whole, and is refused. The file has the
    vectors and images of people; rows that are deleted later stay in it, so it needs a date at which it goes.
    `unveil gallery list --store read-only:monday.unveil` looks into it.

    **Example:** `unveil gallery backup monday.unveil`
    """
    from unveil.atomic_io import sha256

    if out.exists():
        raise DataError(f"{out} is there already: a backup does not replace another")
    with opened(store, folder) as found:
        details = {"file": str(out)}
        with audited(found.log, {"who": user(), "action": "backup", "details": details}) as outcome:
            manifest = found.backup(out)
            outcome["sha256"] = hash = sha256(out)
            if check:
                _check(out)
    rows = manifest.tables["items"].rows
    if as_json:
        told = {"file": str(out), "sha256": hash, "galleries": manifest.tables["galleries"].rows, "rows": rows}
        typer.echo(json.dumps(told | {"entries": manifest.head[0], "checked": check}))
    else:
        checked = "restored and verified" if check else "not checked"
        typer.echo(f"{out}: {rows} rows, {manifest.head[0]} audit entries, {checked}; SHA-256 {hash}")


def restore(
    path: Annotated[Path, typer.Argument(help="A file that `unveil gallery backup` wrote.")],
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: AsJson = False,
) -> None:
    """Fill an empty store from a backup, and verify all of it.

    Rows that were deleted after the backup are there again, and have to be deleted again: the audit log of the store
    that was backed up says which. Indexes are built anew (`unveil gallery index`).

    **Example:** `unveil gallery restore monday.unveil --folder galleries`
    """
    with opened(store, folder) as found:
        manifest = found.restore(path)
        problems = _problems(found, manifest)
        found.log({"who": user(), "action": "restore", "details": {"file": str(path), "problems": len(problems)}})
    for problem in problems:
        typer.echo(problem, err=True)
    rows, when = manifest.tables["items"].rows, datetime.fromtimestamp(manifest.created, UTC)
    if as_json:
        typer.echo(json.dumps({"file": str(path), "rows": rows, "created": when.isoformat(), "wrong": problems}))
    else:
        typer.echo(f"{rows} rows as of {when:%Y-%m-%d %H:%M} UTC restored from {path}")
    raise typer.Exit(1 if problems else 0)


def _check(path: Path) -> None:
    """Restore a backup into a temporary store, and verify all of it.

    Raises:
        UnveilError: something in it is wrong.
    """
    from unveil.gallery.store.opening import open_store
    from unveil.gallery.store.postgresql import own_server

    folder = Path(tempfile.mkdtemp(prefix="unveil-"))
    try:
        address = own_server.start(folder, temporary=True)
        scratch = open_store(address)
        try:
            problems = _problems(scratch, scratch.restore(path))
        finally:
            scratch.close()
    finally:
        own_server.stop(folder)
        shutil.rmtree(folder, ignore_errors=True)
    if problems:
        raise UnveilError(f"{path} was written, but what it restores is not sound: {problems[0]}")


def _problems(store: Store, manifest: Manifest) -> list[str]:
    problems = [f"{info.name}: {said}" for info in store.galleries() for said in store.verify(info.name)]
    head = store.head()
    if head != manifest.head:
        problems.append(f"the audit log ends with entry {head[0]}, expected {manifest.head[0]}")
    return problems + wrong(store.links(), head)
