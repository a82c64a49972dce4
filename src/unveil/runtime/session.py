"""An ONNX or OpenVINO graph that is open and ready to run: one interface, whichever of the two runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError, RecipeError, UnveilError
from unveil.runtime.graph import Feed, Graph, Port, Runtime, default_threads, reason_of
from unveil.runtime.onnx_graph import OnnxGraph
from unveil.runtime.onnx_seal import check_seal
from unveil.runtime.openvino_graph import OpenVinoGraph

SUFFIXES = (".onnx", ".xml")


class Session:
    """An open graph; safe to use from several threads.

    Args:
        path: the file.
        runtime: what runs it.
        graph: as the runtime has it open.
        threads: threads of one run.
    """

    def __init__(self, path: Path, runtime: Runtime, *, graph: Graph, threads: int) -> None:
        self.path = path
        self.runtime = runtime
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.metadata = graph.metadata
        self.streams = graph.streams
        self.threads = threads
        self.prepare = graph.prepare
        self.keep_only = graph.keep_only
        self._graph = graph

    def run(self, feed: Feed, outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Run the graph.

        Args:
            feed: arrays by the name of an input.
            outputs: names of the wanted outputs; all of them, in the order of the file, by default.

        Raises:
            CheckpointError: the graph refuses the arrays.
        """
        names = [port.name for port in self.outputs] if outputs is None else list(outputs)
        try:
            return self._graph.run(feed, names)
        except Exception as e:  # both runtimes raise their own kinds, none of them public
            raise self._refusal(feed, e) from None

    def run_each(self, feeds: Iterable[Feed], outputs: Sequence[str]) -> list[list[np.ndarray]]:
        """Run the graph once for each feed, ``streams`` of them at a time; the next one is made meanwhile.

        Args:
            feeds: arrays by the name of an input.
            outputs: names of the wanted outputs.

        Returns:
            The outputs of each feed, in order.

        Raises:
            CheckpointError: the graph refuses the arrays.
        """
        given: list[Feed] = []

        def noted() -> Iterator[Feed]:
            for feed in feeds:
                given[:] = [feed]
                yield feed

        try:
            return self._graph.run_each(noted(), list(outputs))
        except UnveilError:  # of what makes the feeds
            raise
        except Exception as e:
            raise self._refusal(given[0] if given else {}, e) from None

    def _refusal(self, feed: Feed, error: Exception) -> CheckpointError:
        given = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in feed.items())
        wants = ", ".join(map(str, self.inputs))
        return CheckpointError(f"{self.path}: the model takes {wants} and refuses {given}: {reason_of(error)}")

    def output(self, name: str | None) -> Port:
        """Return an output by name; the first one for ``None``.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self._port(self.outputs, name, what="output")

    def input(self, name: str | None) -> Port:
        """Return an input by name; the first one for ``None``.

        Raises:
            CheckpointError: there is none of that name.
        """
        return self._port(self.inputs, name, what="input")

    def _port(self, ports: Sequence[Port], name: str | None, *, what: str) -> Port:
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
        return _with_openvino(path, threads, any_batch=any_batch)
    check_seal(path)
    if runtime == "openvino":
        return _with_openvino(path, threads, any_batch=any_batch)
    try:
        return _with_onnx(path, threads)
    except MissingExtraError:
        if runtime == "onnx":
            raise
    try:
        return _with_openvino(path, threads, any_batch=any_batch)
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


def _with_onnx(path: Path, threads: int) -> Session:
    threads = threads or default_threads()
    return Session(path, "onnx", graph=OnnxGraph(path, threads), threads=threads)


def _with_openvino(path: Path, threads: int, *, any_batch: bool) -> Session:
    threads = threads or default_threads()
    return Session(path, "openvino", graph=OpenVinoGraph(path, threads, any_batch=any_batch), threads=threads)
