"""Writing a model as one graph: an ONNX file or OpenVINO's pair of files, checked before it takes its place."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unveil.errors import MissingExtraError, UnveilError
from unveil.export.engine import Engine, onnx_engine, openvino_engine, torch_engine
from unveil.export.head import KEY, Head, head_of
from unveil.export.parity import TOLERANCE, Difference, check_parity
from unveil.files import atomic_path

if TYPE_CHECKING:
    from unveil.models.checkpoint import TrainedModel

Format = Literal["onnx", "openvino"]
MOST = 4096  # crops at a time
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}


def export_model(
    model: TrainedModel, target: Path, kind: Format = "onnx", tolerance: float = TOLERANCE
) -> tuple[Head, Difference]:
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
        head = write_graph(model, graph)
        if kind == "openvino":
            graph = _convert(graph, head)
        found = check_parity(torch_engine(model), _engine(graph), tolerance)
        # The weights first: a graph that is there has its weights.
        for suffix in (".bin", ".xml") if kind == "openvino" else (".onnx",):
            with atomic_path(target.with_suffix(suffix)) as temporary:
                graph.with_suffix(suffix).rename(temporary)
    return head, found


def write_graph(model: TrainedModel, target: Path) -> Head:
    """Write a model as an ONNX file, unchecked; see `export_model`."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError:
        raise MissingExtraError("exporting a model", "export") from None
    import torch

    from unveil.export.graph import Graph, exportable

    head, size = head_of(model), model.input
    # Two crops: the exporter takes an axis of length 1 for a constant.
    example = torch.zeros(2, size.height, size.width, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), _quiet():
            # In two steps: in one, the exporter falls back to tracing, which fixes the number of crops in silence.
            graph = torch.export.export(
                exportable(Graph(model)), (example,), dynamic_shapes=({0: torch.export.Dim("n", max=MOST)},)
            )
            program = torch.onnx.export(
                graph, (), dynamo=True, verbose=False, input_names=["images"], output_names=["vectors", "visibility"]
            )
    except Exception as e:  # the exporter raises its own kinds, none of them public
        reason = next((line for line in str(e).splitlines() if line.strip()), type(e).__name__)
        raise UnveilError(
            f"method {model.recipe.method.name} with backbone {model.recipe.backbone.name} cannot be exported: {reason}"
        ) from e
    assert program is not None
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = KEY, head.to_json()
    with atomic_path(target) as temporary:
        onnx.save(proto, str(temporary))
    return head


def _convert(graph: Path, head: Head) -> Path:
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("writing for OpenVINO", "openvino") from None
    converted = openvino.Core().read_model(graph)
    converted.set_rt_info(head.to_json(), [KEY])
    target = graph.with_suffix(".xml")
    try:
        openvino.save_model(converted, target, compress_to_fp16=False)
    except RuntimeError as e:
        raise OSError(str(e)) from e
    return target


def _engine(graph: Path) -> Engine:
    if graph.suffix == ".xml":
        return openvino_engine(graph)
    try:
        return onnx_engine(graph)
    except MissingExtraError:
        return openvino_engine(graph)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own chatter away; what went wrong comes as an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
