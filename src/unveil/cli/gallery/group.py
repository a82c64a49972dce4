"""``unveil gallery group``: the tracklets of a gallery as probable people."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.errors import DataError
from unveil.gallery.audit import audited, user


class Clothes(StrEnum):
    """Whether the clothes of a person are the same everywhere."""

    same = "same"
    changed = "changed"


def command(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    mode: Annotated[Clothes, typer.Option(help="Whether clothes are the same, or may have changed.")] = Clothes.same,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Mean distance up to which groups are joined, instead of the calibrated one.",
            rich_help_panel=help_panels.CALIBRATION,
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the groups, and what was said of them by hand.")
    ] = False,
    why: Annotated[
        str | None, typer.Option(help="Reason, for the audit log.", rich_help_panel=help_panels.AUDIT)
    ] = None,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was done as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Group the tracklets of a gallery into probable people, to be looked through without a search.

    Rows are one person where somebody said so of groups or results; two where somebody said so, or where one camera saw
    both at the same time. The rest goes by the calibrated distance. A group is probably one person, never certainly.
    What was split and merged by hand survives; rows that come later are in no group until the command runs again.

    **Examples:** `unveil gallery group station`, `unveil gallery group station --threshold 0.3`
    """
    from unveil.gallery.grouping.group import group_gallery

    if remove and threshold is not None:
        raise DataError("give --remove or --threshold, not both")
    action = "remove groups" if remove else "group"
    details = {} if remove else {"mode": mode.value, "threshold": threshold}
    with opened(store, folder) as found:
        found.info(name)
        entry = {"who": user(), "action": action, "gallery": name, "why": why, "details": details}
        with audited(found.log, entry) as outcome:
            if remove:
                outcome["rows"] = gone = found.groups.remove(name)
                typer.echo(json.dumps({"gallery": name, "removed": gone}) if as_json
                           else f"{name}: {gone} rows are in no group now")  # fmt: skip
                return
            done = group_gallery(found, name, mode=mode.value, threshold=threshold)
            outcome |= {"rows": done.rows, "people": done.people, "distance": done.grouping.threshold}
    if as_json:
        typer.echo(json.dumps({"gallery": name, **asdict(done)}))
        return
    typer.echo(f"{name}: {done.rows} rows are probably {done.people} people, {done.alone} of them seen once")
    typer.echo(
        f"known before any distance: {done.known} rows joined, {done.apart} pairs of people apart; feedback left out "
        f"because they contradict others: {done.contradictions}"
    )
    typer.echo(f"mean distance up to {done.grouping.threshold:.4f}: {done.grouping.source}")
