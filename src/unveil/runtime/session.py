"""An ONNX or OpenVINO graph that is open and ready to run: one interface, whichever of the two runs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError, RecipeError

Runtime = Literal["onnx", "openvino"]
SUFFIXES = (".onnx", ".xml")
_ONNX_TYPES = {
    "float": np.float32, "double": np.float64, "float16": np.float16,
    "uint8": np.uint8, "int8": np.int8, "int32": np.int32, "int64": np.int64, "bool": np.bool_,
}  # fmt: skip
_XML_HEAD = 4096  # bytes
MAX_REASON = 300  # characters
_NOISE = ("Exception from", "Check '", "Please fix", "While validating", "[ GENERAL_ERROR ]")
Run = Callable[[Mapping[str, np.ndarray], Sequence[str]], list[np.ndarray]]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Args:
        name: what the graph calls it.
        shape: its lengths; ``None`` where any length will do.
        dtype: of its numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        lengths = ", ".join("?" if n is None else str(n) for n in self.shape)
        return f"{self.name} ({lengths}) {self.dtype}"


class Session:
    """An open graph; safe to use from several threads.

    Args:
        path: the file.
        runtime: what runs it.
        inputs: what it takes.
        outputs: what it gives.
        run: takes arrays by the name of an input and the wanted outputs; returns these, in order.
        metadata: the texts that the file carries.
    """

    def __init__(
        self,
        path: Path,
        runtime: Runtime,
        *,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        run: Run,
        metadata: Mapping[str, str],
    ) -> None:
        self.path = path
        self.runtime = runtime
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.metadata = dict(metadata)
        self._run = run

    def run(self, feed: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Run the graph.

        Args:
            feed: arrays by the name of an input.
            outputs: names of the wanted outputs; all of them, in the order of the file, by default.

        Raises:
            CheckpointError: the graph refuses the arrays.
        """
        names = [port.name for port in self.outputs] if outputs is None else list(outputs)
        try:
            return self._run(feed, names)
        except Exception as e:  # both runtimes raise their own kinds, none of them public
            given = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in feed.items())
            wants = ", ".join(map(str, self.inputs))
            raise CheckpointError(f"{self.path}: the model takes {wants} and refuses {given}: {reason_of(e)}") from None

    def output(self, name: str | None) -> Port:
        """Return an output by name; the first one for ``None``.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self._port(self.outputs, name, "output")

    def input(self, name: str | None) -> Port:
        """Return an input by name; the first one for ``None``.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self._port(self.inputs, name, "input")

    def _port(self, ports: Sequence[Port], name: str | None, what: str) -> Port:
        for port in ports:
            if name is None or port.name == name:
                return port
        known = ", ".join(port.name for port in ports) or "none"
        raise CheckpointError(f"{self.path}: the model has no {what} {name or ''!r}; it has {known}")


def open_session(path: Path, threads: int = 0, *, runtime: str = "auto", any_batch: bool = False) -> Session:
    """Open an ``.onnx`` file, or an OpenVINO ``.xml`` file with its ``.bin``, on the CPU.

    Args:
        path: the file.
        threads: threads of one run; `default_threads` for 0.
        runtime: "onnx", "openvino", or "auto": OpenVINO for ``.xml``; for ``.onnx`` ONNX Runtime, or OpenVINO where
            that alone is installed.
        any_batch: let the first axis of the first input have any length where the file fixes it and OpenVINO runs it.

    Raises:
        MissingExtraError: what runs the file is not installed.
        CheckpointError: the file is missing, damaged, or no such graph.
        RecipeError: there is no such runtime, or it cannot run such a file.
    """
    if runtime not in ("auto", *get_args(Runtime)):
        raise RecipeError(f"unknown runtime {runtime!r}; known: auto, {', '.join(get_args(Runtime))}")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise CheckpointError(f"{path}: expected a model file ending in .onnx or .xml (OpenVINO)")
    if not path.is_file():
        raise CheckpointError(f"no model at {path}")
    if suffix == ".xml":
        if runtime == "onnx":
            raise RecipeError(f"{path} is a file of OpenVINO: ONNX Runtime cannot run it")
        return _open_openvino(path, threads, any_batch)
    if runtime == "openvino":
        return _open_openvino(path, threads, any_batch)
    try:
        return _open_onnx(path, threads)
    except MissingExtraError:
        if runtime == "onnx":
            raise
    try:
        return _open_openvino(path, threads, any_batch)
    except MissingExtraError:
        raise MissingExtraError(f"running {path.name}", "onnx") from None


def open_fastest(path: Path, threads: int = 0, *, runtime: str = "auto", any_batch: bool = False) -> Session:
    """Open a file as `open_session` does, but with "auto" an ``.onnx`` file by OpenVINO where that is installed.

    It is the faster of the two on most CPUs, and takes more images at a time where the file fixes their number.
    """
    if runtime == "auto" and path.suffix.lower() == ".onnx":
        try:
            return open_session(path, threads, runtime="openvino", any_batch=any_batch)
        except MissingExtraError:
            pass
    return open_session(path, threads, runtime=runtime, any_batch=any_batch)


def default_threads() -> int:
    """Return ``$OMP_NUM_THREADS`` where it is set, else the number of cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(asked)) if asked.isdecimal() else cores


def reason_of(error: Exception) -> str:
    """Return what an exception of a runtime says, without the source lines and advice around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(_NOISE)] or lines
    return " ".join(telling[-2:])[:MAX_REASON] or type(error).__name__


def model_files(path: Path) -> tuple[Path, ...]:
    """Return the files that a model consists of: an ``.xml`` has its weights in a ``.bin`` beside it."""
    return (path, path.with_suffix(".bin")) if path.suffix.lower() == ".xml" else (path,)


def _open_onnx(path: Path, threads: int) -> Session:
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("running a model with ONNX Runtime", "onnx") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.log_severity_level = 3  # exporters leave warnings that a user can do nothing about
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:
        raise CheckpointError(f"{path}: not a model that ONNX Runtime can load: {reason_of(e)}") from None

    def port(node: Any) -> Port:
        shape = tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape)
        kind = node.type.removeprefix("tensor(").removesuffix(")")
        return Port(node.name, shape, np.dtype(_ONNX_TYPES.get(kind, np.object_)))

    def run(feed: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        return list(session.run(list(names), dict(feed)))

    return Session(
        path, "onnx", inputs=[port(n) for n in session.get_inputs()], outputs=[port(n) for n in session.get_outputs()],
        run=run, metadata=session.get_modelmeta().custom_metadata_map,
    )  # fmt: skip


def _open_openvino(path: Path, threads: int, any_batch: bool) -> Session:
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("running a model with OpenVINO", "openvino") from None
    for part in model_files(path):
        if not part.is_file():
            raise CheckpointError(f"{path}: its weights {part.name} are missing: both files belong in one folder")
    with path.open("rb") as f:
        if path.suffix.lower() == ".xml" and b"<net" not in f.read(_XML_HEAD):  # OpenVINO would try every other format
            raise CheckpointError(f"{path}: not a model that OpenVINO can load: it has no <net> element")
    core = openvino.Core()
    # Left alone it computes in bfloat16 on CPUs that have it, and vectors change by some thousandths of their length.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or default_threads()}
    try:
        graph = core.read_model(path)
        compiled = (_compiled_for_any_batch(core, path, settings) if any_batch else None) or core.compile_model(
            graph, "CPU", settings
        )
    except Exception as e:
        raise CheckpointError(f"{path}: not a model that OpenVINO can load: {reason_of(e)}") from None

    def port(node: Any) -> Port:
        shape = tuple(n.get_length() if n.is_static else None for n in node.get_partial_shape())
        return Port(_name_of(node), shape, np.dtype(node.element_type.to_dtype()))

    request = compiled.create_infer_request()
    lock = threading.Lock()
    inputs, outputs = [port(n) for n in compiled.inputs], [port(n) for n in compiled.outputs]
    takes = {name: k for k, node in enumerate(compiled.inputs) for name in (_name_of(node), *node.get_names())}
    gives = {name: k for k, node in enumerate(compiled.outputs) for name in (_name_of(node), *node.get_names())}

    def run(feed: Mapping[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        with lock:
            request.infer({takes[name]: array for name, array in feed.items()}, share_inputs=True)
            # Copies: the request writes its next answer over this one.
            return [np.array(request.get_output_tensor(gives[name]).data) for name in names]

    return Session(path, "openvino", inputs=inputs, outputs=outputs, run=run, metadata=_texts(graph))


def _name_of(node: Any) -> str:
    """Return the name of an input or output; OpenVINO gives a tensor every name that it had on its way."""
    names = node.get_names()
    own = node.get_node().get_friendly_name().split("/sink_port_")[0]
    return own if own in names or not names else min(names)


def _compiled_for_any_batch(core: Any, path: Path, settings: Mapping[str, Any]) -> Any:
    """Return the graph compiled for any length of the first axis; ``None`` where it cannot have that, or has it."""
    graph = core.read_model(path)
    shape = graph.inputs[0].partial_shape
    if not len(shape) or not shape[0].is_static:
        return None
    try:
        lengths = [-1, *(n.get_length() if n.is_static else -1 for n in list(shape)[1:])]
        graph.reshape({graph.inputs[0]: lengths})
        # A graph with the batch written into a reshape gives its outputs a fixed first axis, or one that is no batch.
        if any(not len(out.partial_shape) or out.partial_shape[0].is_static for out in graph.outputs):
            return None
        return core.compile_model(graph, "CPU", settings)
    except Exception:  # the fixed batch stays
        return None


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
