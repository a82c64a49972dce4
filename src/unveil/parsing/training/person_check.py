"""Whether a person is on a crop: a logistic rule over what the decoder of the package's parser sees, in its graph.

Maps of noise and textures look much like those of people; what the layers that make them answer does not. The rule
takes the mean, the maximum and the standard deviation over the crop of each channel of two layers, on a logarithmic
scale, and is an output of the parser's graph, one number a crop. ``scripts/fit_person_check.py`` fits it anew when the
parser changes, on rendered people and on images without any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Strides 16 and 8: finer layers tell less, coarser ones know too well what they were trained on.
LAYERS = ("/network/ups.0/mix/mix.2/Relu_output_0", "/network/ups.1/mix/mix.2/Relu_output_0")
SCOPE = "person_check/"  # of everything that the rule adds to a graph
FEATURES, OUTPUT = f"{SCOPE}features", "person"


def with_features(model: Any) -> None:
    """Add the output `FEATURES` ``(N, F)`` to a parser's graph; a rule that was there is gone.

    Args:
        model: of the package ``onnx``; it is changed.

    Raises:
        ValueError: the graph is not that of `unveil.nn.parsing_network.ParsingNet`.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    _remove(graph)
    made = {name for node in graph.node for name in node.output}
    if not made.issuperset(LAYERS):
        raise ValueError(f"the graph has no {min(set(LAYERS) - made)}: it is no parser of this version")
    one = numpy_helper.from_array(np.ones(1, np.float32), f"{SCOPE}one")
    graph.initializer.append(one)
    pooled = []

    def add(name: str, operation: str, *inputs: str, **how: Any) -> str:
        graph.node.append(helper.make_node(operation, list(inputs), [SCOPE + name], name=SCOPE + name, **how))
        return SCOPE + name

    for number, layer in enumerate(LAYERS):
        over = {"axes": [2, 3], "keepdims": 0}
        mean = add(f"mean{number}", "ReduceMean", layer, **over)
        highest = add(f"max{number}", "ReduceMax", layer, **over)
        squares = add(f"squares{number}", "ReduceMean", add(f"square{number}", "Mul", layer, layer), **over)
        spread = add(f"spread{number}", "Sub", squares, add(f"squared{number}", "Mul", mean, mean))
        std = add(f"std{number}", "Sqrt", add(f"variance{number}", "Relu", spread))
        pooled += [mean, highest, std]
    # All of them are 0 at least: the layers end in a ReLU.
    shifted = add("shifted", "Add", add("pooled", "Concat", *pooled, axis=1), one.name)
    add("features", "Log", shifted)
    graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, None))


def with_rule(model: Any, weights: NDArray[np.float64], *, bias: float) -> None:
    """Replace the output `FEATURES` of a graph by the rule's, `OUTPUT` ``(N, 1)``: the logit of a person.

    Args:
        model: of the package ``onnx``, after `with_features`; it is changed.
        weights: ``(F,)``.
        bias: added to the weighted sum.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    kept = [output for output in graph.output if output.name != FEATURES]
    del graph.output[:]
    graph.output.extend(kept)
    column = numpy_helper.from_array(weights.astype(np.float32)[:, None], f"{SCOPE}weights")
    offset = numpy_helper.from_array(np.array([bias], np.float32), f"{SCOPE}bias")
    graph.initializer.extend([column, offset])
    graph.node.append(helper.make_node("Gemm", [FEATURES, column.name, offset.name], [OUTPUT], name=f"{SCOPE}rule"))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1]))


def _remove(graph: Any) -> None:
    """Remove what `with_features` and `with_rule` add."""
    for kind in (graph.node, graph.initializer):
        kept = [part for part in kind if not part.name.startswith(SCOPE)]
        del kind[:]
        kind.extend(kept)
    kept = [output for output in graph.output if output.name not in (FEATURES, OUTPUT)]
    del graph.output[:]
    graph.output.extend(kept)
