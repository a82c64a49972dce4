"""Writing a model as one graph: an ONNX file or OpenVINO's pair of files, both unchecked."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from unveil.errors import MissingExtraError, UnveilError
from unveil.export.graph import Graph, exportable, metadata_of
from unveil.export.metadata import KEY, ModelMetadata
from unveil.files import atomic_path
from unveil.models.checkpoint import TrainedModel

Format = Literal["onnx", "openvino"]
MAX_BATCH = 4096  # crops at a time
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}


def write_graph(model: TrainedModel, target: Path) -> ModelMetadata:
    """Write a model as an ONNX file, unchecked; see `unveil.inference.checked_export.export_model`."""
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError:
        raise MissingExtraError("exporting a model", "export") from None
    metadata, size = metadata_of(model), model.input
    # Two crops: the exporter takes an axis of length 1 for a constant.
    example = torch.zeros(2, size.height, size.width, 3, dtype=torch.uint8)
    try:
        with torch.no_grad(), _quiet():
            # In two steps: in one, the exporter falls back to tracing, which fixes the number of crops in silence.
            graph = torch.export.export(
                exportable(Graph(model)), (example,), dynamic_shapes=({0: torch.export.Dim("n", max=MAX_BATCH)},)
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
    entry.key, entry.value = KEY, metadata.to_json()
    with atomic_path(target) as temporary:
        onnx.save(proto, str(temporary))
    return metadata


def write_openvino(graph: Path, metadata: ModelMetadata) -> Path:
    """Write an ONNX file as OpenVINO's ``.xml`` and ``.bin`` beside it, unchecked, and return the ``.xml``."""
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("writing for OpenVINO", "openvino") from None
    converted = openvino.Core().read_model(graph)
    converted.set_rt_info(metadata.to_json(), [KEY])
    target = graph.with_suffix(".xml")
    try:
        openvino.save_model(converted, target, compress_to_fp16=False)
    except RuntimeError as e:
        raise OSError(str(e)) from e
    return target


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
