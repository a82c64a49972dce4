"""``unveil export``: a trained model as a file for ONNX Runtime or OpenVINO, checked against PyTorch."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from unveil.cli import help_panels


class Format(StrEnum):
    """What the file is for."""

    onnx = "onnx"
    openvino = "openvino"


def command(
    model: Annotated[Path, typer.Argument(help="A model file, or the folder of a run.")],
    kind: Annotated[Format, typer.Option("--format", help="What the file is for.")] = Format.onnx,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write (.onnx, or .xml); by default beside the model.", rich_help_panel=help_panels.OUTPUT
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest difference from PyTorch, relative to the length of a vector.")
    ] = 1e-3,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Write a model as one graph and check that it gives what PyTorch gives; nothing is written otherwise.

    The graph takes crops `images (n, height, width, 3)` uint8 RGB, resized, any n; normalisation and the mirrored crop
    are inside. It answers `vectors (n, E, D)` and `visibility (n, E)`. The model's card is in the file.

    **Example:** `unveil export runs/bot --format onnx --out bot.onnx`
    """
    from unveil.inference.checked_export import export_model
    from unveil.models.checkpoint import NAME, load_model

    source = model / NAME if model.is_dir() else model
    target = out or source.with_suffix({"onnx": ".onnx", "openvino": ".xml"}[kind.value])
    head, found = export_model(load_model(source), target, kind.value, tolerance)
    summary = {
        "file": str(target), "format": kind.value, "fingerprint": head.card.fingerprint,
        "vectors": list(head.space.names), "dimension": head.space.dimension, "difference": found.vectors,
        "visibility_difference": found.visibility, "notes": list(head.notes),
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(f"wrote {target} ({len(head.space.names)} x {head.space.dimension}); beside PyTorch {found}")
    for note in head.notes:
        typer.echo(f"note: {note}")
