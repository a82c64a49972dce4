"""What a runtime gives for an open model file: its inputs and outputs, and running it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from unveil.errors import CheckpointError
from unveil.runtime.external_weights import has_external_weights

Runtime = Literal["onnx", "openvino"]
Feed = Mapping[str, np.ndarray]
MAX_REASON = 300  # characters
_NOISE = ("Exception from", "Check '", "Please fix", "While validating", "[ GENERAL_ERROR ]")


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


class Graph(Protocol):
    """A graph as one of the runtimes has it open."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]
    streams: int

    def run(self, feed: Feed, names: Sequence[str]) -> list[np.ndarray]:
        """Run it once, as fast as one answer can be had; return the named outputs."""

    def run_each(self, feeds: Iterable[Feed], names: Sequence[str]) -> list[list[np.ndarray]]:
        """Run it for each feed, ``streams`` of them at a time; return the named outputs of each, in order."""

    def prepare(self, count: int) -> None:
        """Do what the first `run_each` with so many images a feed would have to do before it runs."""

    def keep_only(self, count: int) -> None:
        """Free what was prepared for other numbers of images."""


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
    """Return the files that a model consists of: an ``.xml`` has its weights in a ``.bin`` beside it.

    Raises:
        CheckpointError: an ``.onnx`` has weights in other files.
    """
    if path.suffix.lower() == ".xml":
        return (path, path.with_suffix(".bin"))
    if has_external_weights(path):
        # Under any name, anywhere: no hash of ours would see that they changed, and no copy would have them.
        raise CheckpointError(
            f"{path}: has weights in other files; save it as one file: "
            f"python -c \"import onnx; onnx.save(onnx.load({path.name!r}), 'one.onnx')\""
        )
    return (path,)
