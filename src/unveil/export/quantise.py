"""Rounding an ONNX graph: half precision, and 8-bit integers whose ranges are those seen on crops."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unveil.errors import MissingExtraError, UnveilError

BATCH = 8
QUANTISED = ("Conv", "Gemm", "MatMul")


def to_float16(graph: Path) -> None:
    """Rewrite an ONNX file in half precision; its inputs and outputs keep their types.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError:
        raise MissingExtraError("writing half precision", "export") from None
    level = logging.getLogger("onnxruntime.transformers.float16")
    level.setLevel(logging.ERROR)  # constants that are rounded to zero are what half precision is
    onnx.save(convert_float_to_float16(onnx.load(str(graph)), keep_io_types=True), str(graph))


def to_int8(graph: Path, crops: np.ndarray, *, batch: int | None = None) -> None:
    """Rewrite an ONNX file with convolutions and matrix products in 8-bit integers.

    Post-training quantisation (Jacob et al., CVPR 2018, section 2): weights by channel and symmetric, activations by
    tensor, with the smallest and the largest value seen on the crops as their range.

    Args:
        graph: the file.
        crops: as the graph takes them, ``(N, ...)``, N at least 1.
        batch: crops at a time where the graph fixes them; the last ones are repeated to fill it up.

    Raises:
        MissingExtraError: ONNX Runtime or its quantiser is not installed.
        UnveilError: the graph cannot be quantised.
    """
    try:
        from onnxruntime import quantization as q
    except ImportError:
        raise MissingExtraError("writing 8-bit integers", "export") from None
    step = batch or BATCH
    name = _input_name(graph)

    class Reader(q.CalibrationDataReader):
        """Hands the crops out, a batch at a time."""

        def __init__(self) -> None:
            self.batches = _batches(crops, step)

        def get_next(self) -> dict[str, Any] | None:
            """Return the next batch by the name of the input."""
            found = next(self.batches, None)
            return None if found is None else {name: found}

    try:
        with tempfile.TemporaryDirectory(dir=graph.parent) as folder:
            ready = Path(folder) / "ready.onnx"
            q.quant_pre_process(str(graph), str(ready), skip_symbolic_shape=True)
            q.quantize_static(
                str(ready), str(graph), Reader(), per_channel=True, op_types_to_quantize=list(QUANTISED),
                activation_type=q.QuantType.QUInt8, weight_type=q.QuantType.QInt8, reduce_range=False,
                extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
            )  # fmt: skip
    except Exception as e:  # the quantiser raises its own kinds, none of them public
        raise UnveilError(
            f"the graph cannot be quantised to 8 bits: {str(e).splitlines()[0] if str(e) else e!r}"
        ) from e


def _input_name(graph: Path) -> str:
    import onnx

    return str(onnx.load(str(graph), load_external_data=False).graph.input[0].name)


def _batches(crops: np.ndarray, step: int) -> Iterator[np.ndarray]:
    for start in range(0, len(crops), step):
        some = crops[start : start + step]
        yield np.concatenate([some, *[some[-1:]] * (step - len(some))]) if len(some) < step else some
