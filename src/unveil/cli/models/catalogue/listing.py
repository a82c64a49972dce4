"""``unveil models list``: what ships, what is installed, what is known, and how fast it is here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from unveil.cli import help_panels
from unveil.cli.models.catalogue.get import START
from unveil.cli.models.catalogue.installed import PARSER
from unveil.cli.tables import Table

if TYPE_CHECKING:
    from unveil.models.catalogue.starts import PublishedStart

RENDERED = "rendered people"
NOT_STATED = "not stated"
NARROWEST_REST = 45  # columns of a terminal that the table takes beside the longest name, at least


def command(
    speed: Annotated[
        bool, typer.Option("--speed", help="Measure crops per second of the ReID models that are here, now.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=help_panels.OUTPUT)] = False,
) -> None:
    """List the models: those that ship with the package, those installed here, and the published ones that are known.

    `imagenet:BACKBONE` is what a network of yours can start from.

    Nothing is fetched. `--speed` runs each shipped and installed ReID model by its fastest engine, on all cores that
    the process may use; what else the machine does at that moment is in the figure.

    **Examples:** `unveil models list`, `unveil models list --speed`
    """
    rows = _rows()
    if speed:
        _measure(rows)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "state", "MB", *(("crops/s now",) if speed else ()), "what it is")
    for row in rows:
        pace = (_pace(row),) if speed else ()
        table.add_row(row["name"], row["state"], _megabytes(row["bytes"]), *pace, _in_words(row))
    table.columns[0].no_wrap = True  # what is copied into the next command
    narrowest = max(len(row["name"]) for row in rows) + NARROWEST_REST
    Console(width=max(Console().width, narrowest)).print(table)


def _rows() -> list[dict[str, Any]]:
    from unveil.models.catalogue.detectors import OWN
    from unveil.models.catalogue.installed import installed
    from unveil.models.catalogue.known import KNOWN
    from unveil.models.catalogue.starts import STARTS
    from unveil.parsing.default import PARSER_FILE
    from unveil.pretrained import PREFIX, shipped_names
    from unveil.runtime.card import read_json
    from unveil.video.detectors.default import DETECTOR_FILE

    there = {model.name: model for model in installed()}
    rows = [_shipped_row(f"{PREFIX}{name}") for name in shipped_names()]
    for name, file, about in (
        (PARSER, PARSER_FILE, "parser: body parts and clothes"),
        (OWN, DETECTOR_FILE, "detector: people in frames"),
    ):
        size = file.stat().st_size
        rows.append(_row(name, "ships", about=about, size=size, licence="Apache-2.0", trained_on=RENDERED))
    for known in KNOWN.values():
        state = "installed" if known.name in there else "known"
        licence = known.licence + (" (not for every use)" if known.restriction else "")
        what = f"{known.task}: {known.about}"
        rows.append(
            _row(
                known.name,
                state,
                about=what,
                size=known.size,
                licence=licence,
                trained_on=known.trained_on,
                claims=known.claims,
            )
        )
        rows[-1]["measured"] = _figures(known.measured)
    rows += [_start_row(backbone, files) for backbone, files in STARTS.items()]
    for name, model in there.items():
        if name not in KNOWN:
            said = read_json(model.card)
            size = sum(path.stat().st_size for path in model.card.parent.iterdir() if path.is_file())
            rows.append(
                _row(
                    name,
                    "installed",
                    about=model.kind,
                    size=size,
                    licence=said.get("licence", ""),
                    trained_on=said.get("trained_on", ""),
                )
            )
    return rows


def _measure(rows: list[dict[str, Any]]) -> None:
    from unveil.inference.load import load_engine
    from unveil.inference.speed import crops_per_second
    from unveil.models.catalogue.installed import REID, TRAINED, installed
    from unveil.pretrained import PREFIX, shipped_names

    here = {model.name for model in installed() if model.kind in (REID, TRAINED)}
    here |= {f"{PREFIX}{name}" for name in shipped_names()}
    for row in rows:
        row |= {"crops_per_second": None, "engine": None}
        if row["name"] in here:
            engine = load_engine(row["name"])
            row |= {"crops_per_second": round(crops_per_second(engine), 1), "engine": engine.kind}


def _pace(row: dict[str, Any]) -> str:
    return "" if row["engine"] is None else f"{row['crops_per_second']:.0f} ({row['engine']})"


def _in_words(row: dict[str, Any]) -> str:
    licence = row["licence"] if row["licence"] != NOT_STATED else f"licence {NOT_STATED}"
    about = [row["about"], licence, f"trained on {row['trained_on']}" if row["trained_on"] != NOT_STATED else ""]
    figures = [f"{whose}: {row[key]}" for whose, key in (("publisher", "claims"), ("ours", "measured")) if row[key]]
    return "; ".join(text for text in (*about, *figures) if text)


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f}"


def _shipped_row(name: str) -> dict[str, Any]:
    from unveil.models.catalogue.entry import VIPER
    from unveil.pretrained import weights_path
    from unveil.runtime.card import read_json

    file = weights_path(name)
    card = read_json(file.with_suffix(".json"))
    row = _row(
        name,
        "ships",
        about="ReID",
        size=file.stat().st_size,
        licence=card["licence"].partition(";")[0],
        trained_on=RENDERED,
    )
    viper = next((figure for figure in card["figures"] if figure["data"] == figure["protocol"] == "viper"), None)
    return row | {"measured": _figures({VIPER: f"Rank-1 {viper['rank1']}, mAP {viper['map']}"} if viper else {})}


def _figures(measured: Mapping[str, str]) -> str:
    return "; ".join(f"{key} {value}" for key, value in measured.items())


def _start_row(backbone: str, files: Sequence[PublishedStart]) -> dict[str, Any]:
    from unveil.models.starts import local_start

    here = next(((start, path) for start in files if (path := local_start(start)) is not None), None)
    start = here[0] if here else files[-1]
    size = here[1].stat().st_size if here else start.size
    state = "installed" if here else "known" if start.digest else "by hand"
    return _row(
        f"{START}{backbone}",
        state,
        about=f"start of {backbone}: {start.file}",
        size=size,
        licence=start.licence,
        trained_on="ImageNet-1k",
    )


def _row(
    name: str, state: str, about: str, size: int | None, licence: str, trained_on: str, claims: str = ""
) -> dict[str, Any]:
    return {
        "name": name, "state": state, "about": about, "bytes": size, "licence": licence or NOT_STATED,
        "trained_on": trained_on or NOT_STATED, "claims": claims, "measured": "",
    }  # fmt: skip
