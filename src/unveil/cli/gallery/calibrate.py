"""``unveil gallery calibrate``: from distances to probabilities, and to "no match"."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.gallery.stores import FolderOption, StoreOption, opened
from unveil.cli.tables import Table
from unveil.gallery.audit import audited, user

if TYPE_CHECKING:
    from unveil.gallery.records import Mode
    from unveil.gallery.scoring.calibration import Calibration


class Source(StrEnum):
    """Where labelled pairs come from."""

    labels = "labels"
    feedback = "feedback"


class Curve(StrEnum):
    """How distances become probabilities."""

    auto = "auto"
    isotonic = "isotonic"
    logistic = "logistic"


class Clothes(StrEnum):
    """Which mode of searching is calibrated."""

    both = "both"
    same = "same"
    changed = "changed"


def command(
    name: Annotated[str, typer.Argument(help="Name of the gallery.")],
    source: Annotated[
        Source, typer.Option("--from", help="Persons named by the sources, or what people said about results.")
    ] = Source.labels,
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV of pairs instead: a, b (numbers or sources of rows), same (1 or 0)."),
    ] = None,
    mode: Annotated[
        Clothes, typer.Option(help="For clothes that are the same, may have changed, or both.")
    ] = Clothes.both,
    curve: Annotated[
        Curve,
        typer.Option(
            help="auto takes the one that is better on people held out.", rich_help_panel=help_panels.CALIBRATION
        ),
    ] = Curve.auto,
    false_alarms: Annotated[
        float,
        typer.Option(
            help="Share of searches for people who are not there that may end in a match.",
            rich_help_panel=help_panels.CALIBRATION,
        ),
    ] = 0.05,
    store: StoreOption = None,
    folder: FolderOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the calibration as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Fit probabilities and the threshold for "no match" on labelled pairs, and say how good they are on others.

    **Examples:** `unveil gallery calibrate station`, `unveil gallery calibrate station --pairs pairs.csv --mode same`
    """
    from unveil.gallery.calibrate import calibrate_gallery
    from unveil.gallery.scoring.fitting import CalibrationRefusedError

    modes: tuple[Mode, ...] = ("same", "changed")
    fitted: dict[Mode, Calibration] = {}
    refused: dict[Mode, CalibrationRefusedError] = {}
    with opened(store, folder) as found:
        details = {"source": str(pairs or source.value), "false_alarms": false_alarms}
        entry = {"who": user(), "action": "calibrate", "gallery": name, "details": details}
        with audited(found.log, entry) as outcome:
            for one in (m for m in modes if mode.value in (m, Clothes.both)):
                try:
                    fitted |= calibrate_gallery(
                        found,
                        name,
                        source=pairs or source.value,
                        modes=(one,),
                        method=curve.value,
                        false_alarms=false_alarms,
                    )
                except CalibrationRefusedError as e:
                    refused[one] = e
            if not fitted:
                raise next(iter(refused.values()))
            outcome["modes"] = list(fitted)
    for m, why in refused.items():
        typer.echo(f"clothes {m}: {why}; what was there before stays", err=True)
    if as_json:
        typer.echo(json.dumps({m: asdict(c) for m, c in fitted.items()}, indent=2))
        raise typer.Exit(1 if refused else 0)
    columns = (
        "clothes",
        "pairs",
        "of one person",
        "curve",
        "calibration error",
        "Brier",
        "Brier of a constant",
        "match up to",
    )
    table = Table(*columns, title=f"calibration of {name}, checked on people held out")
    for m, c in fitted.items():
        check = c.check
        numbers = (f"{check.error:.3f}", f"{check.brier:.3f}", f"{check.constant:.3f}", f"{c.threshold:.4f}")
        table.add_row(m, str(c.pairs), str(c.same), c.kind, *numbers)
    Console().print(table)
    for m, c in fitted.items():
        risks = ", ".join(f"{coverage:.0%}: {risk:.1%}" for coverage, risk in c.check.curve[3::4])
        typer.echo(f"{m}: {c.about()} Wrong answers when only the surest are given: {risks}.")
        bins = ", ".join(f"{b.promised:.0%}: {b.true:.0%}" for b in c.check.reliability)
        typer.echo(f"{m}: promised probability and true share, ten equal parts: {bins}.")
    raise typer.Exit(1 if refused else 0)
