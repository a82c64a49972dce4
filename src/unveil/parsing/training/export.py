"""Writes a trained network as it is shipped: one ONNX file with 16-bit weights, and its card."""

from __future__ import annotations

import copy
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from unveil.atomic_io import write_bytes, write_text
from unveil.errors import MissingExtraError
from unveil.parsing.training.network import LabelNet, ParsingNet

MODEL, CARD = "parser.onnx", "parser.json"
OPSET = 17
MIN_PACKED = 256  # numbers; smaller tensors stay in 32 bits


def export(
    network: ParsingNet,
    folder: Path,
    *,
    plain: int,
    size: tuple[int, int],
    tables: Mapping[str, Sequence[int]],
    shares: Sequence[str],
    scheme: str = "lip20",
    about: str = "",
) -> Path:
    """Write model and card; return the card's path.

    Args:
        network: trained.
        folder: where both files go.
        plain: number of first classes that have no body part; see `LabelNet`.
        size: input height and width.
        tables: label of each class number, for each label set.
        shares: names of the visible shares.
        scheme: label set by default.
        about: where the weights come from.

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    whole = LabelNet(copy.deepcopy(network).to(memory_format=torch.contiguous_format), plain)  # type: ignore[call-overload]
    content = packed_onnx(whole, size, outputs=("labels", "shares"), any_batch=True)
    card = {
        "model": MODEL, "scheme": scheme, "height": size[0], "width": size[1], "scale": 1 / 127.5,
        "mean": [1, 1, 1], "std": [1, 1, 1], "output": "labels",
        "tables": {name: list(table) for name, table in tables.items()},
        "visibility": {"output": "shares", "parts": list(shares)}, "about": about, "licence": "Apache-2.0",
    }  # fmt: skip
    write_bytes(folder / MODEL, content)
    write_text(folder / CARD, json.dumps(card) + "\n")
    return folder / CARD


def packed_onnx(whole: nn.Module, size: tuple[int, int], *, outputs: Sequence[str], any_batch: bool) -> bytes:
    """Return a network as an ONNX file with 16-bit weights, checked; its input is called "images".

    Args:
        whole: takes ``(B, 3, H, W)`` float32.
        size: H and W.
        outputs: names of what it answers with.
        any_batch: whether B is free; else it is 1.

    Raises:
        MissingExtraError: the package ``onnx`` is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("writing an ONNX model", "export") from None
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the new exporter would need one more package
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            whole.eval(), (torch.zeros(1, 3, *size),), cast(Any, buffer), dynamo=False, opset_version=OPSET,
            input_names=["images"], output_names=list(outputs),
            dynamic_axes={name: {0: "n"} for name in ("images", *outputs)} if any_batch else None,
        )  # fmt: skip
    model = onnx.load_from_string(buffer.getvalue())
    pack_weights(model.graph)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def pack_weights(graph: Any) -> None:
    """Store the large weights of an ONNX graph in 16 bits; they are widened once, when the model is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    widen = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < MIN_PACKED:
            continue
        name = tensor.name
        packed = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.f16")
        tensor.CopyFrom(packed)
        widen.append(helper.make_node("Cast", [packed.name], [name], to=TensorProto.FLOAT))
    nodes = [*widen, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
