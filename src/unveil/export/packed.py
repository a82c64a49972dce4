"""Writes a network as one small ONNX file: 16-bit weights, paddings within the convolutions."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from unveil.errors import MissingExtraError

OPSET = 17
MIN_PACKED = 256  # numbers; smaller tensors stay in 32 bits


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
    fold_paddings(model)
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


def fold_paddings(model: Any) -> None:
    """Give the zeros that a node pads to the convolution after it: apart, they double the time of ONNX Runtime.

    Args:
        model: of the package ``onnx``; it is changed.
    """
    from onnx.reference import ReferenceEvaluator
    from onnx.shape_inference import infer_shapes
    from onnx.utils import Extractor

    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    parts = Extractor(infer_shapes(model))
    for node in list(graph.node):
        before = makers.get(node.input[0]) if node.op_type == "Conv" else None
        if before is None or before.op_type != "Pad" or uses[node.input[0]] > 1:
            continue
        # All sizes are known, so that the exporter's arithmetic with them needs no input.
        (pads,) = ReferenceEvaluator(parts.extract_model([], [before.input[1]])).run(None, {})
        added = np.asarray(pads).tolist()
        own = next(attribute.ints for attribute in node.attribute if attribute.name == "pads")
        own[:] = [a + b for a, b in zip(own, [*added[2:4], *added[6:8]], strict=True)]
        node.input[0] = before.input[0]
        graph.node.remove(before)
