"""ReID models of another project: small real ONNX graphs with their cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from runtime.graphs import mean_colours, save_graph

HEIGHT, WIDTH = 32, 16


def write_external(
    folder: Path, name: str = "other", *, shape: tuple[int | str, ...] | None = None, **card: Any
) -> Path:
    """Write a model whose vector is the mean colour of a crop, with its card; return the path of the model."""
    path = mean_colours(folder / f"{name}.onnx", shape=shape or ("n", 3, HEIGHT, WIDTH))
    write_card(path, **card)
    return path


def write_card(model: Path, **card: Any) -> Path:
    """Write the card of a ReID model that takes crops of `HEIGHT` x `WIDTH`."""
    fields = {"model": model.name, "height": HEIGHT, "width": WIDTH, "metric": "cosine", "licence": "test", **card}
    model.with_suffix(".json").write_text(json.dumps(fields))
    return model.with_suffix(".json")


def write_stripes(folder: Path, parts: int = 2) -> Path:
    """Write a model of two stripes: the mean colour of each, and how visible it is (the mean of its red)."""
    rows = HEIGHT // parts
    constants = [
        numpy_helper.from_array(np.array([0, 3, parts, rows, WIDTH], np.int64), "split"),
        numpy_helper.from_array(np.array([3, 4], np.int64), "inside"),
        numpy_helper.from_array(np.array(0, np.int64), "red"),
    ]
    nodes = [
        helper.make_node("Reshape", ["images", "split"], ["stripes"]),
        helper.make_node("ReduceMean", ["stripes", "inside"], ["means"], keepdims=0),
        helper.make_node("Transpose", ["means"], ["vectors"], perm=[0, 2, 1]),
        helper.make_node("Gather", ["vectors", "red"], ["shown"], axis=2),
    ]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    outputs = [
        helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", parts, 3]),
        helper.make_tensor_value_info("shown", TensorProto.FLOAT, ["n", parts]),
    ]
    path = save_graph(folder / "stripes.onnx", nodes, inputs, outputs, constants)
    write_card(path, names=[f"part{n}" for n in range(parts)], visibility="shown")
    return path
