"""An ``.onnx`` file open in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError
from unveil.runtime.graph import Feed, Port, reason_of

_TYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16,
    "uint8": np.uint8, "int8": np.int8, "int32": np.int32, "int64": np.int64, "bool": np.bool_,
}  # fmt: skip


class OnnxGraph:
    """A graph that ONNX Runtime runs on the CPU.

    Args:
        path: ``.onnx`` file.
        threads: threads of one run.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        CheckpointError: it cannot load the file.
    """

    streams = 1

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtraError("running a model with ONNX Runtime", "onnx") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # exporters leave warnings that a user can do nothing about
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as e:
            raise CheckpointError(f"{path}: not a model that ONNX Runtime can load: {reason_of(e)}") from None
        self.inputs = tuple(map(_port, self._session.get_inputs()))
        self.outputs = tuple(map(_port, self._session.get_outputs()))
        self.metadata = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, feed: Feed, names: Sequence[str]) -> list[np.ndarray]:
        """See `unveil.runtime.graph.Graph`."""
        return list(self._session.run(list(names), dict(feed)))

    def run_each(self, feeds: Iterable[Feed], names: Sequence[str]) -> list[list[np.ndarray]]:
        """See `unveil.runtime.graph.Graph`."""
        return [self.run(feed, names) for feed in feeds]

    def prepare(self, count: int) -> None:
        """See `unveil.runtime.graph.Graph`; there is nothing to prepare."""

    def keep_only(self, count: int) -> None:
        """See `unveil.runtime.graph.Graph`; there is nothing to free."""


def _port(node: Any) -> Port:
    shape = tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape)
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    return Port(node.name, shape, np.dtype(_TYPES.get(kind, np.object_)))
