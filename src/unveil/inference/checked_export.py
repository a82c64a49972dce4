"""Exporting a model: its graph is written, run and compared with PyTorch before it takes its place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from unveil.atomic_io import atomic_path
from unveil.data.fitting import fit_image
from unveil.errors import DataError, MissingExtraError, UnveilError
from unveil.export.metadata import ModelMetadata
from unveil.export.parity import Difference, check_parity
from unveil.export.variant import Variant
from unveil.export.write import PLAIN, SUFFIXES, Format, write_graph, write_openvino
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine
from unveil.models.checkpoint import TrainedModel
from unveil.runtime.openvino_graph import computes_bfloat16

MIN_CROPS = 16
MAX_COMPARED = 64


def export_model(
    model: TrainedModel,
    target: Path,
    *,
    kind: Format = "onnx",
    tolerance: float | None = None,
    variant: Variant = PLAIN,
    crops: Sequence[np.ndarray] = (),
    check: Callable[[Engine], None] | None = None,
) -> tuple[ModelMetadata, Difference]:
    """Write a model as one graph and compare it with PyTorch before it takes its place.

    The graph takes ``images (n, H, W, 3)`` uint8 RGB at the size of the model's input, any n, unless ``variant`` says
    otherwise. It normalises, embeds, sees the mirrored crop where the method tests with one, and answers ``vectors (n,
    E, D)`` and ``visibility (n, E)`` float32. The card of the model is in the file.

    Args:
        model: on the CPU.
        target: file to write; ``.onnx``, or ``.xml`` with a ``.bin`` of the weights beside it.
        kind: which of the two.
        tolerance: largest difference that is let through; see `Difference` and `unveil.export.variant.TOLERANCES`.
        variant: batch, opset, input and precision of the graph.
        crops: ``(h, w, 3)`` uint8 RGB of any size, for "int8" alone: every second one gives the ranges, the others are
            what the graph is compared on.
        check: called with the graph before it takes its place; raises to refuse it.

    Returns:
        What the file says of itself, and its largest difference from PyTorch.

    Raises:
        MissingExtraError: what writes or runs that format is not installed.
        CheckpointError: the graph does not agree with PyTorch; nothing is written.
        UnveilError: the method cannot be written as a graph, the file cannot be written, or this machine does not
            compute in that precision.
        DataError: an "int8" graph is asked for with too few crops, or another one with crops.
    """
    calibration, shown = _calibration(model, variant, crops=crops)
    tolerance = variant.tolerance if tolerance is None else tolerance
    if variant.precision == "bfloat16":
        _check_bfloat16(kind)
    if target.suffix != SUFFIXES[kind]:
        raise UnveilError(f"{target}: a file for {kind} ends in {SUFFIXES[kind]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
    except OSError as e:
        raise UnveilError(f"cannot write in {target.parent}: {e.strerror or e}") from e
    with folder as name:
        graph = Path(name) / "model.onnx"
        # OpenVINO stores half precision itself; it does not read the graphs that ONNX Runtime's tools write for it.
        metadata = write_graph(model, graph, variant=variant, calibration=calibration, round_weights=kind == "onnx")
        if kind == "openvino":
            graph = write_openvino(graph, metadata, precision=variant.precision)
        engine = _engine(graph)
        found = check_parity(
            torch_engine(model), engine, tolerance=tolerance, crops=shown, rounded=variant.precision != "float32"
        )
        if check is not None:
            check(engine)
        # The weights first: a graph that is there has its weights.
        for suffix in (".bin", ".xml") if kind == "openvino" else (".onnx",):
            with atomic_path(target.with_suffix(suffix)) as temporary:
                graph.with_suffix(suffix).rename(temporary)
    return metadata, found


def _calibration(
    model: TrainedModel, variant: Variant, *, crops: Sequence[np.ndarray]
) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """Return crops to take ranges from, and others to compare on; none where nothing is rounded to 8 bits."""
    if variant.precision != "int8":
        if len(crops):
            raise DataError(f"crops to calibrate on are for int8; {variant.precision} takes none")
        return None, []
    if len(crops) < MIN_CROPS:
        raise DataError(
            f"int8 takes its ranges from at least {MIN_CROPS} crops like those of your cameras, got {len(crops)}"
        )
    fitted = [fit_image(crop, model.crop_size) for crop in crops]
    return np.stack(fitted[::2]), fitted[1::2][:MAX_COMPARED]


def _check_bfloat16(kind: Format) -> None:
    """Refuse what would not compute in bfloat16 here: it would be checked in another precision than it is used in."""
    if kind != "openvino":
        raise UnveilError("bfloat16 is for OpenVINO: ONNX Runtime does not compute in it on processors")
    if not computes_bfloat16():
        raise UnveilError(
            "this processor does not compute in bfloat16, so such a graph cannot be checked here: export float32, or "
            "int8, or export on a processor that does (AVX512-BF16 or AMX; `unveil doctor` tells)"
        )


def _engine(graph: Path) -> Engine:
    if graph.suffix == ".xml":
        return openvino_engine(graph)
    try:
        return onnx_engine(graph)
    except MissingExtraError:
        return openvino_engine(graph)
