"""Exporting a model: its graph is written, run and compared with PyTorch before it takes its place."""

from __future__ import annotations

import tempfile
from pathlib import Path

from unveil.errors import MissingExtraError, UnveilError
from unveil.export.metadata import ModelMetadata
from unveil.export.parity import TOLERANCE, Difference, check_parity
from unveil.export.write import SUFFIXES, Format, write_graph, write_openvino
from unveil.files import atomic_path
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine
from unveil.models.checkpoint import TrainedModel


def export_model(
    model: TrainedModel, target: Path, kind: Format = "onnx", tolerance: float = TOLERANCE
) -> tuple[ModelMetadata, Difference]:
    """Write a model as one graph and compare it with PyTorch before it takes its place.

    The graph takes ``images (n, H, W, 3)`` uint8 RGB at the size of the model's input, any n. It normalises, embeds,
    sees the mirrored crop where the method tests with one, and answers ``vectors (n, E, D)`` and ``visibility (n, E)``
    float32. The card of the model is in the file.

    Args:
        model: on the CPU.
        target: file to write; ``.onnx``, or ``.xml`` with a ``.bin`` of the weights beside it.
        kind: which of the two.
        tolerance: largest difference that is let through; see `Difference`.

    Returns:
        What the file says of itself, and its largest difference from PyTorch.

    Raises:
        MissingExtraError: what writes or runs that format is not installed.
        CheckpointError: the graph does not agree with PyTorch; nothing is written.
        UnveilError: the method cannot be written as a graph, or the file cannot be written.
    """
    if target.suffix != SUFFIXES[kind]:
        raise UnveilError(f"{target}: a file for {kind} ends in {SUFFIXES[kind]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent)
    except OSError as e:
        raise UnveilError(f"cannot write in {target.parent}: {e.strerror or e}") from e
    with folder as name:
        graph = Path(name) / "model.onnx"
        metadata = write_graph(model, graph)
        if kind == "openvino":
            graph = write_openvino(graph, metadata)
        found = check_parity(torch_engine(model), _engine(graph), tolerance)
        # The weights first: a graph that is there has its weights.
        for suffix in (".bin", ".xml") if kind == "openvino" else (".onnx",):
            with atomic_path(target.with_suffix(suffix)) as temporary:
                graph.with_suffix(suffix).rename(temporary)
    return metadata, found


def _engine(graph: Path) -> Engine:
    if graph.suffix == ".xml":
        return openvino_engine(graph)
    try:
        return onnx_engine(graph)
    except MissingExtraError:
        return openvino_engine(graph)
