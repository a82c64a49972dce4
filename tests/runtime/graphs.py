"""Small real ONNX graphs, and the same for OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LETTERS = "nhwc"


def mean_colours(
    path: Path,
    *,
    shape: Sequence[int | str] = ("n", 3, "h", "w"),
    kind: int = TensorProto.FLOAT,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a graph that answers the mean of each colour, ``(n, 3)``: what reaches the model can be read from it.

    Args:
        path: ``.onnx`` file to write.
        shape: of the input "images"; colours are the axis of length 3.
        kind: type of the input.
        metadata: texts in the file.
    """
    axis = list(shape).index(3, 1)
    others = [k for k in range(1, 4) if k != axis]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["vectors"], keepdims=0),
    ]
    axes = numpy_helper.from_array(np.array(others, np.int64), "axes")
    inputs = [helper.make_tensor_value_info("images", kind, list(shape))]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [shape[0], 3])]
    return save_graph(path, nodes, inputs, outputs, [axes], metadata)


def save_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    constants: Sequence[Any] = (),
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a graph as an ONNX file."""
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def as_openvino(path: Path) -> Path:
    """Write an ONNX file again as OpenVINO's pair of files beside it; return the ``.xml``."""
    import openvino

    target = path.with_suffix(".xml")
    openvino.save_model(openvino.Core().read_model(path), target, compress_to_fp16=False)
    return target


def with_external_weights(path: Path, *, seed: int = 0) -> Path:
    """Write a graph whose vector is two mixtures of the mean colours; how they are mixed is in a file beside it."""
    nodes = [
        helper.make_node("ReduceMean", ["images", "axes"], ["colours"], keepdims=0),
        helper.make_node("MatMul", ["colours", "mixture"], ["vectors"]),
    ]
    mixture = np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float32)
    constants = [
        numpy_helper.from_array(np.array([2, 3], np.int64), "axes"),
        numpy_helper.from_array(mixture, "mixture"),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 32, 16])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 2])]
    path.parent.mkdir(parents=True, exist_ok=True)
    save_graph(path, nodes, inputs, outputs, constants)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path
