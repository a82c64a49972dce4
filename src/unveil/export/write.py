"""Writing a model as one graph: an ONNX file or OpenVINO's pair of files, both unchecked."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from unveil.atomic_io import atomic_path, sha256
from unveil.errors import MissingExtraError, UnveilError
from unveil.export.graph import Graph, exportable, metadata_of
from unveil.export.metadata import KEY, ModelMetadata
from unveil.export.quantise import to_float16, to_int8
from unveil.export.variant import MAX_BATCH, Precision, Variant, as_input
from unveil.models.checkpoint import TrainedModel
from unveil.runtime.onnx_seal import seal
from unveil.runtime.openvino_graph import PRECISION_KEY, WEIGHTS_KEY

Format = Literal["onnx", "openvino"]
PLAIN = Variant()
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}


def write_graph(
    model: TrainedModel,
    target: Path,
    *,
    variant: Variant = PLAIN,
    calibration: np.ndarray | None = None,
    round_weights: bool = True,
) -> ModelMetadata:
    """Write a model as an ONNX file, unchecked; see `unveil.inference.checked_export.export_model`.

    Args:
        model: on the CPU.
        target: file to write.
        variant: which graph.
        calibration: ``(N, H, W, 3)`` uint8 RGB crops of the right size whose ranges an "int8" graph has.
        round_weights: write "float16" in half precision; without, that is left to what is made of the file.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError:
        raise MissingExtraError("exporting a model", "export") from None
    metadata = _rounded(metadata_of(model), variant, calibration=calibration)
    # Two crops: the exporter takes an axis of length 1 for a constant.
    blank = np.zeros((variant.batch or 2, model.input.height, model.input.width, 3), np.uint8)
    example = torch.from_numpy(as_input(blank, variant.layout))
    free = None if variant.batch else ({0: torch.export.Dim("n", max=MAX_BATCH)},)
    try:
        with torch.no_grad(), _quiet():
            # In two steps: in one, the exporter falls back to tracing, which fixes the number of crops in silence.
            graph = torch.export.export(exportable(Graph(model, variant.layout)), (example,), dynamic_shapes=free)
            program = torch.onnx.export(
                graph, (), dynamo=True, verbose=False, opset_version=variant.opset, input_names=["images"],
                output_names=["vectors", "visibility"],
            )  # fmt: skip
    except Exception as e:  # the exporter raises its own kinds, none of them public
        reason = next((line for line in str(e).splitlines() if line.strip()), type(e).__name__)
        raise UnveilError(
            f"method {model.recipe.method.name} with backbone {model.recipe.backbone.name} cannot be exported: {reason}"
        ) from e
    assert program is not None
    proto = program.model_proto
    written = {entry.domain: entry.version for entry in proto.opset_import}.get("")
    if variant.opset not in (None, written):
        raise UnveilError(f"opset {variant.opset}: PyTorch cannot write this graph so, it wrote opset {written}")
    with atomic_path(target) as temporary:
        onnx.save(proto, str(temporary))
        if variant.precision == "float16" and round_weights:
            to_float16(temporary)
        elif calibration is not None:
            to_int8(temporary, as_input(calibration, variant.layout), batch=variant.batch)
        proto = onnx.load(str(temporary))
        entry = proto.metadata_props.add()
        entry.key, entry.value = KEY, metadata.to_json()
        onnx.save(proto, str(temporary))
        seal(temporary)
    return metadata


def _rounded(metadata: ModelMetadata, variant: Variant, *, calibration: np.ndarray | None) -> ModelMetadata:
    """Return what the graph says of itself: a rounded one has vectors, and a fingerprint, of its own."""
    if variant.precision == "float32":
        return metadata
    if (variant.precision == "int8") != (calibration is not None):
        raise ValueError("crops to take ranges from are for int8, which needs them")
    seen = "" if calibration is None else hashlib.sha256(calibration.tobytes()).hexdigest()
    card = metadata.card
    card = card.model_copy(update={"fingerprint": variant.fingerprint(card.fingerprint, seen)})
    note = f"rounded to {variant.precision}: its embeddings are not compared with those of the model itself"
    return replace(metadata, card=card, notes=(*metadata.notes, note))


def write_openvino(graph: Path, metadata: ModelMetadata, *, precision: Precision = "float32") -> Path:
    """Write an ONNX file as OpenVINO's ``.xml`` and ``.bin`` beside it, unchecked, and return the ``.xml``.

    Args:
        graph: the ONNX file.
        metadata: what the files say of themselves.
        precision: "float16" and "bfloat16" keep weights in half precision, and the latter asks for its arithmetic.
    """
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("writing for OpenVINO", "openvino") from None
    converted = openvino.Core().read_model(graph)
    converted.set_rt_info(metadata.to_json(), [KEY])
    if precision == "bfloat16":
        converted.set_rt_info(precision, [PRECISION_KEY])
    target = graph.with_suffix(".xml")
    half = precision in ("float16", "bfloat16")
    try:
        openvino.save_model(converted, target, compress_to_fp16=half)
        # Its weights are the same the second time; the graph then tells them from those of another file.
        converted.set_rt_info(sha256(target.with_suffix(".bin")), [WEIGHTS_KEY])
        openvino.save_model(converted, target, compress_to_fp16=half)
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
