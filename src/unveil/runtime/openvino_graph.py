"""An ``.onnx`` or ``.xml`` file open in OpenVINO, compiled for the numbers of images that it is run with."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unveil.atomic_io import sha256
from unveil.errors import CheckpointError, MissingExtraError
from unveil.runtime.graph import Feed, Port, model_files, reason_of

PRECISION_KEY = "unveil_precision"  # of the text in a file that asks for "bfloat16"
WEIGHTS_KEY = "unveil_weights_sha256"  # of the text that tells the SHA-256 of the .bin; older files have none
_XML_HEAD = 4096  # bytes
log = logging.getLogger(__name__)


class OpenVinoGraph:
    """A graph that OpenVINO runs on the CPU.

    Where its first axis may have any length, it is compiled for one image alone, and for as many as `run_each` gets at
    a time, when they first come: OpenVINO runs a graph of fixed lengths up to 30 % faster than one of open ones.

    Args:
        path: ``.onnx`` file, or ``.xml`` file with its ``.bin``.
        threads: threads of one `run`; `run_each` runs as many feeds at a time, on one thread each.
        any_batch: let the first axis of the input have any length where the file fixes it.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: a file is missing, OpenVINO cannot load it, or its weights are not those that it was written
            with.
    """

    def __init__(self, path: Path, threads: int, *, any_batch: bool) -> None:
        try:
            import openvino
        except ImportError:
            raise MissingExtraError("running a model with OpenVINO", "openvino") from None
        for part in model_files(path):
            if not part.is_file():
                raise CheckpointError(f"{path}: its weights {part.name} are missing: both files belong in one folder")
        with path.open("rb") as f:
            # OpenVINO would try every other format.
            if path.suffix.lower() == ".xml" and b"<net" not in f.read(_XML_HEAD):
                raise CheckpointError(f"{path}: not a model that OpenVINO can load: it has no <net> element")
        self.streams = threads
        self._core = openvino.Core()
        self._lock = threading.RLock()
        self._compiled: dict[tuple[int | None, int], _Compiled] = {}
        try:
            graph = self._core.read_model(path)
            self.metadata = _texts(graph)
            self._precision = self._precision_of(path)
            self._model = (_for_any_batch(graph.clone()) if any_batch else None) or graph
            self._open = _is_open(self._model)
            self._of(1 if self._open else None, 1)
        except Exception as e:
            raise CheckpointError(f"{path}: not a model that OpenVINO can load: {reason_of(e)}") from None
        told = self.metadata.get(WEIGHTS_KEY) if path.suffix.lower() == ".xml" else None
        if told is not None and told != sha256(path.with_suffix(".bin")):
            raise CheckpointError(
                f"{path}: its weights {path.stem}.bin are damaged or of another file: export the model again, or get "
                "both files again"
            )
        inputs, outputs = self._model.inputs, self._model.outputs
        self.inputs = tuple(map(_port, inputs))
        self.outputs = tuple(map(_port, outputs))
        self._takes = {name: k for k, node in enumerate(inputs) for name in (_name_of(node), *node.get_names())}
        self._gives = {name: k for k, node in enumerate(outputs) for name in (_name_of(node), *node.get_names())}

    def run(self, feed: Feed, names: Sequence[str]) -> list[np.ndarray]:
        """See `unveil.runtime.graph.Graph`."""
        with self._lock:
            request = self._of(1 if self._open and _count(feed) == 1 else None, 1).requests[0]
            request.infer(self._inputs(feed), share_inputs=True)
            return self._answers(request, names)

    def run_each(self, feeds: Iterable[Feed], names: Sequence[str]) -> list[list[np.ndarray]]:
        """See `unveil.runtime.graph.Graph`."""
        answers: list[list[np.ndarray]] = []
        running: deque[tuple[Any, Feed]] = deque()
        with self._lock:
            try:
                for feed in feeds:
                    compiled = self._of(_count(feed) if self._open else None, self.streams)
                    if len(running) == len(compiled.requests):
                        answers.append(self._finished(running, names))
                    request = next(r for r in compiled.requests if all(r is not other for other, _ in running))
                    request.start_async(self._inputs(feed), share_inputs=True)
                    running.append((request, feed))  # the request reads the arrays of the feed
                while running:
                    answers.append(self._finished(running, names))
            finally:
                for request, _ in running:  # after an error: the others must have ended before they are used again
                    with contextlib.suppress(Exception):
                        request.wait()
        return answers

    def prepare(self, count: int) -> None:
        """See `unveil.runtime.graph.Graph`."""
        with self._lock:
            self._of(count if self._open else None, self.streams)

    def keep_only(self, count: int) -> None:
        """See `unveil.runtime.graph.Graph`."""
        with self._lock:
            self._compiled = {key: one for key, one in self._compiled.items() if key[0] in (1, None, count)}

    def _of(self, count: int | None, streams: int) -> _Compiled:
        """Return the graph compiled for so many images a run; ``None``: as the file has it."""
        key = (count, streams)
        if key not in self._compiled:
            model = self._model if count is None else _for_batch(self._model.clone(), count)
            self._compiled[key] = self._of(None, streams) if model is None else self._compile(model, streams)
        return self._compiled[key]

    def _precision_of(self, path: Path) -> str:
        if self.metadata.get(PRECISION_KEY) != "bfloat16":
            return "f32"
        if not _has_bfloat16(self._core):
            log.warning("%s is for processors that compute in bfloat16; this one does not: float32, and slower", path)
            return "f32"
        return "bf16"

    def _compile(self, model: Any, streams: int) -> _Compiled:
        settings = {
            # Left alone it computes in bfloat16 on CPUs that have it, whatever the file is for.
            "INFERENCE_PRECISION_HINT": self._precision, "INFERENCE_NUM_THREADS": self.streams, "NUM_STREAMS": streams,
        }  # fmt: skip
        compiled = self._core.compile_model(model, "CPU", settings)
        # One more than run at a time: the next one waits ready.
        return _Compiled(compiled, [compiled.create_infer_request() for _ in range(streams + 1)])

    def _inputs(self, feed: Feed) -> dict[int, np.ndarray]:
        return {self._takes[name]: array for name, array in feed.items()}

    def _answers(self, request: Any, names: Sequence[str]) -> list[np.ndarray]:
        # Copies: the request writes its next answer over this one.
        return [np.array(request.get_output_tensor(self._gives[name]).data) for name in names]

    def _finished(self, running: deque[tuple[Any, Feed]], names: Sequence[str]) -> list[np.ndarray]:
        request, _ = running.popleft()
        request.wait()
        return self._answers(request, names)


def computes_bfloat16() -> bool:
    """Return whether OpenVINO computes in bfloat16 on this processor, in place of emulating it.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("computing in bfloat16", "openvino") from None
    return _has_bfloat16(openvino.Core())


def _has_bfloat16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@dataclass(frozen=True, eq=False)
class _Compiled:
    compiled: Any
    requests: list[Any]


def _count(feed: Feed) -> int:
    return len(next(iter(feed.values())))


def _port(node: Any) -> Port:
    shape = tuple(n.get_length() if n.is_static else None for n in node.get_partial_shape())
    return Port(_name_of(node), shape, np.dtype(node.element_type.to_dtype()))


def _name_of(node: Any) -> str:
    """Return the name of an input or output; OpenVINO gives a tensor every name that it had on its way."""
    names = node.get_names()
    own = node.get_node().get_friendly_name().split("/sink_port_")[0]
    return own if own in names or not names else min(names)


def _is_open(model: Any) -> bool:
    """Return whether the only input and all outputs have a first axis of any length: the images."""
    shapes = [node.partial_shape for node in (*model.inputs, *model.outputs)]
    return len(model.inputs) == 1 and all(len(shape) > 0 and shape[0].is_dynamic for shape in shapes)


def _for_any_batch(model: Any) -> Any:
    """Return the model with any length of its first axis; ``None`` where it cannot have that.

    A model with the batch written into a reshape gives its outputs a fixed first axis, or one that is no batch.
    """
    found = _reshaped(model, -1)
    return found if found is not None and _is_open(found) else None


def _for_batch(model: Any, count: int) -> Any:
    """Return an open model for so many images; ``None`` where its outputs are not as many."""
    found = _reshaped(model, count)
    fits = found is not None and all(
        out.partial_shape[0].is_static and out.partial_shape[0].get_length() == count for out in found.outputs
    )
    return found if fits else None


def _reshaped(model: Any, count: int) -> Any:
    shape = list(model.inputs[0].partial_shape)
    try:
        model.reshape({model.inputs[0]: [count, *(n.get_length() if n.is_static else -1 for n in shape[1:])]})
        model.validate_nodes_and_infer_types()
    except Exception:  # the model stays as the file has it
        return None
    return model


def _texts(graph: Any) -> dict[str, str]:
    """Return the texts of an OpenVINO graph; those of an ONNX file that it read lie below "framework"."""
    found = {}
    for key in graph.get_rt_info():
        inner = [["framework", name] for name in graph.get_rt_info(["framework"]).value] if key == "framework" else []
        for where in inner or [[key]]:
            value = graph.get_rt_info(where).value
            if isinstance(value, str):
                found[where[-1]] = value
    return found
