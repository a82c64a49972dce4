"""``unveil export``: a trained model as a file for ONNX Runtime or OpenVINO, checked against PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels

if TYPE_CHECKING:
    from unveil.records import Sample

CALIBRATION_CROPS = 256


class Precision(StrEnum):
    """What the graph computes in."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"
    int8 = "int8"


class Layout(StrEnum):
    """How the graph takes crops."""

    nhwc_uint8 = "nhwc-uint8"
    nchw_float = "nchw-float"


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
    batch: Annotated[
        int | None,
        typer.Option(
            help="Crops at a time, fixed in the graph; any number by default.", rich_help_panel=help_panels.EXECUTION
        ),
    ] = None,
    opset: Annotated[
        int | None,
        typer.Option(help="ONNX opset, 18 to 23; the exporter's own by default.", rich_help_panel=help_panels.OUTPUT),
    ] = None,
    layout: Annotated[
        Layout,
        typer.Option(
            help="Input: (n, H, W, 3) uint8, or (n, 3, H, W) float32 in 0..255; RGB.",
            rich_help_panel=help_panels.OUTPUT,
        ),
    ] = Layout.nhwc_uint8,
    precision: Annotated[Precision, typer.Option(help="What the graph computes in.")] = Precision.float32,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="For int8: crops like those of your cameras, a folder, manifest or name:root; 256 of them are used.",
            rich_help_panel=help_panels.CALIBRATION,
        ),
    ] = None,
    evaluate: Annotated[
        list[str] | None,
        typer.Option(
            help="Dataset (name:root) to measure the loss of mAP on; may be given again.",
            rich_help_panel=help_panels.CALIBRATION,
        ),
    ] = None,
    max_loss: Annotated[
        float, typer.Option(help="Points of mAP that may be lost on it.", rich_help_panel=help_panels.CALIBRATION)
    ] = 0.5,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Largest difference from PyTorch, relative to the length of a vector; by default 0.001 for float32, "
            "0.01 for float16, 0.1 for bfloat16, 0.25 for int8.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a summary as JSON.", rich_help_panel=help_panels.OUTPUT)
    ] = False,
) -> None:
    """Write a model as one graph and check that it gives what PyTorch gives; nothing is written otherwise.

    The graph takes crops `images (n, height, width, 3)` uint8 RGB, resized, any n; normalisation and the mirrored crop
    are inside. It answers `vectors (n, E, D)` and `visibility (n, E)`. The model's card is in the file.

    An `int8` graph takes its ranges from every second crop of `--calibrate` and is compared with PyTorch on the others.
    A `bfloat16` graph is for OpenVINO and processors that compute in it (AVX512-BF16, AMX). Graphs of all precisions
    but `float32` have a fingerprint of their own.

    **Examples:** `unveil export runs/bot --format onnx --out bot.onnx`,
    `unveil export unveil:dual --format openvino --precision bfloat16 --evaluate viper:/data/viper --out dual.xml`,
    `unveil export runs/bot --precision int8 --calibrate crops/ --evaluate viper:/data/viper --out bot.int8.onnx`
    """
    from unveil.cli.sources import crops_of
    from unveil.data.images import read_sample
    from unveil.errors import UnveilError
    from unveil.export.variant import Variant
    from unveil.inference.checked_export import export_model
    from unveil.inference.engine import Engine
    from unveil.inference.rounding import Loss, measure_loss
    from unveil.models.checkpoint import NAME, load_model
    from unveil.recipe import DataSource

    if precision is Precision.int8 and calibrate is None:
        raise UnveilError(
            "--precision int8 takes its ranges from crops like those of your cameras: name a folder, a manifest or a "
            "dataset of them with --calibrate"
        )
    if precision is Precision.bfloat16 and kind is Format.onnx:
        raise UnveilError("--precision bfloat16 is for OpenVINO alone: add --format openvino")
    source = model / NAME if model.is_dir() else model
    target = out or source.with_suffix({"onnx": ".onnx", "openvino": ".xml"}[kind.value])
    variant = Variant(batch, opset, layout.value, precision.value)
    trained = load_model(source)
    crops = [] if calibrate is None else [read_sample(sample) for sample in _spread(crops_of(calibrate).samples)]
    losses: list[Loss] = []

    def measure(engine: Engine) -> None:
        sources = [DataSource.of(text) for text in evaluate or ()]
        losses.extend(measure_loss(trained, engine, sources=sources, max_loss=max_loss))

    head, found = export_model(
        trained,
        target,
        kind=kind.value,
        tolerance=tolerance,
        variant=variant,
        crops=crops,
        check=measure if evaluate else None,
    )
    summary = {
        "file": str(target), "format": kind.value, "fingerprint": head.card.fingerprint,
        "vectors": list(head.space.names), "dimension": head.space.dimension, "difference": found.vectors,
        "visibility_difference": found.visibility, "notes": list(head.notes), "variant": asdict(variant),
        "map": [asdict(loss) for loss in losses],
    }  # fmt: skip
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    typer.echo(f"wrote {target} ({len(head.space.names)} x {head.space.dimension}); beside PyTorch {found}")
    for loss in losses:
        typer.echo(str(loss))
    for note in head.notes:
        typer.echo(f"note: {note}")


def _spread(samples: Sequence[Sample]) -> list[Sample]:
    """Return at most `CALIBRATION_CROPS` of the crops, from all over the source."""
    count = min(len(samples), CALIBRATION_CROPS)
    return [samples[number * len(samples) // count] for number in range(count)]
