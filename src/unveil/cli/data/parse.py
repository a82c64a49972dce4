"""``unveil parse``: run a human parser over a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from unveil.cli import help_panels


def command(
    data: Annotated[str, typer.Argument(help="What to parse: name:root of a dataset, a manifest, a folder, an image.")],
    out: Annotated[
        Path, typer.Option(help="Where the tree `parsing/<scheme>/...` is written.", rich_help_panel=help_panels.OUTPUT)
    ],
    model: Annotated[
        Path | None,
        typer.Option("--model", "--parser", help="Card (JSON) of an ONNX segmentation model; else the package's own."),
    ] = None,
    maps: Annotated[Path | None, typer.Option(help="Folder of maps that another tool made, to be imported.")] = None,
    kind: Annotated[
        Literal["schp", "fields", "pixel_sampling"] | None,
        typer.Option(
            help="What --maps holds, schp by default; fields become pab6 or bpb8.", rich_help_panel=help_panels.PARSING
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            help="Label set of the maps, or to be made: lip20, atr18, pascal7, cre7, pab6, bpb8, worn14.",
            rich_help_panel=help_panels.PARSING,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Crops at a time.", rich_help_panel=help_panels.EXECUTION)] = 16,
    threads: Annotated[
        int,
        typer.Option(
            min=0, help="Threads of one inference; 0 leaves it to ONNX Runtime.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = 0,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Also draw crops beside their maps (.png or .jpg).", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Parse every crop into `OUT/parsing/<scheme>/<relative image path>.png`; a second run resumes the first.

    The package's own parser also writes how much of each part shows: `visibility.csv` beside the maps.

    **Examples:**

    `unveil parse market1501:/data/market --out /data/market`

    `unveil parse market1501:/data/market --model schp-atr.json --out /data/market`

    `unveil parse market1501:/data/market --maps schp_output --scheme atr18 --out /data/market`
    """
    from unveil.cli.sources import crops_of
    from unveil.errors import UnveilError
    from unveil.label_sets import get_scheme
    from unveil.parsing.default import DEFAULT_CARD
    from unveil.parsing.importing import import_maps
    from unveil.parsing.onnx_parser import OnnxParser
    from unveil.parsing.parse import parse_dataset
    from unveil.parsing.sheet import save_sheet

    if model is not None and maps is not None:
        raise UnveilError("give either --model (a network to run) or --maps (a folder of another tool to import)")
    if kind is not None and maps is None:
        raise UnveilError(f"--kind {kind} says what a folder of another tool holds: name the folder with --maps")
    dataset = crops_of(data)
    if maps is not None:
        kind = kind or "schp"
        share = import_maps(dataset, maps, kind=kind, root=out, scheme=scheme)
        made = {"fields": scheme or "pab6", "pixel_sampling": "ps6"}.get(kind, scheme or "")
        summary = {"out": str(out), "scheme": made, "crops": share.total, "missing": list(share.missing)}
        text, problems, failed = str(share), [], False
    else:
        parser = OnnxParser(model or DEFAULT_CARD, threads, scheme=scheme)
        report = parse_dataset(dataset, parser, root=out, batch=batch)
        made, problems, failed = parser.scheme.name, list(report.unreadable), report.nothing
        summary = {"out": str(out), "scheme": made, "parser": parser.fingerprint, "written": report.written,
                   "kept": report.kept, "unreadable": problems, "visibility": list(parser.parts)}  # fmt: skip
        text = f"{report} in {out}"
    if sheet is not None and not failed:
        save_sheet(dataset, out, scheme=get_scheme(made), out=sheet)
        summary["sheet"] = str(sheet)
    typer.echo(json.dumps(summary, indent=2) if as_json else text)
    for problem in problems:
        typer.echo(problem, err=True)
    if failed:
        raise UnveilError(f"not one of {len(dataset.samples)} crops could be parsed; each is named above")
    if problems:
        raise typer.Exit(1)
