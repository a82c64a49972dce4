"""A graph run over any number of crops, a few at a time: as many as is fastest here.

What a network computes on the way grows with the crops of a run and soon fills the processor's caches: small steps are
up to 40 % faster than runs of 32 crops. Which of `STEPS` is the fastest differs from network to network. It is found
out on the first crops of the work itself, and remembered in the cache.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Protocol

import numpy as np

from unveil.atomic_io import locked
from unveil.data.prefetch import processor_seconds
from unveil.errors import UnveilError
from unveil.inference import remembered
from unveil.runtime.graph import Feed

log = logging.getLogger(__name__)
STEPS = (8, 4, 1, 32)  # crops; tried in this order, and the first one is taken until the fastest is known
ROUNDS = 3
MAX_FILLED = 0.25  # of a run may be crops that only fill it
PACKAGES = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}


class Runs(Protocol):
    """What runs a graph for several feeds: `unveil.runtime.session.Session`, or PyTorch."""

    streams: int

    def run_each(self, feeds: Iterable[Feed], outputs: Sequence[str]) -> list[list[np.ndarray]]:
        """Return the outputs for each feed, in order."""

    def run(self, feed: Feed, outputs: Sequence[str]) -> list[np.ndarray]:
        """Return the outputs for one feed, as soon as they can be had."""

    def prepare(self, count: int) -> None:
        """Do what the first run of so many images does beside running."""

    def keep_only(self, count: int) -> None:
        """Free what was prepared for other numbers of images."""


class StepChoice:
    """The fastest of `STEPS` for a model on this machine, as far as it is known.

    Args:
        fingerprint: of the model.
        kind: what runs it: "torch", "onnx" or "openvino".
        threads: that it is run with.
    """

    def __init__(self, fingerprint: str, kind: str, *, threads: int) -> None:
        self._file = remembered.folder_of(fingerprint) / "steps.json"
        self._key = f"{kind}-{version(PACKAGES[kind])}-{threads}-{platform.node()}"
        found = remembered.read(self._file).get(self._key)
        self.best: int | None = found if found in STEPS else None
        self._seconds: dict[int, list[float]] = {step: [] for step in STEPS}

    def next(self) -> int:
        """Return the step to try."""
        return min(STEPS, key=lambda step: len(self._seconds[step]))

    def took(self, step: int, seconds: float) -> None:
        """Note how many seconds of the processor a trial took; after `ROUNDS` of each step the best is known."""
        self._seconds[step].append(seconds)
        if min(map(len, self._seconds.values())) < ROUNDS:
            return
        self.best = min(STEPS, key=lambda step: min(self._seconds[step]))
        log.debug("%s: %d crops at a time", self._key, self.best)
        try:
            with locked(self._file):
                remembered.keep(self._file, remembered.read(self._file) | {self._key: self.best})
        except UnveilError as e:  # a cache that cannot be written costs time only
            log.warning("the number of crops at a time cannot be remembered: %s", e)


class SteppedRunner:
    """Runs a graph over crops, a few at a time.

    Args:
        graph: what runs it.
        name: of the graph's input.
        prepare: makes the input of some crops ``(n, H, W, 3)`` uint8 RGB.
        outputs: names of the wanted outputs.
        fixed: crops of each run, where the graph fixes them; the last run is filled up.
        checked: looks at the outputs of a run of so many crops, and returns them with one row a crop.
    """

    def __init__(
        self,
        graph: Runs,
        name: str,
        *,
        prepare: Callable[[np.ndarray], np.ndarray],
        outputs: Sequence[str],
        fixed: int | None = None,
        checked: Callable[[list[np.ndarray], int], list[np.ndarray]] = lambda found, count: found,
    ) -> None:
        self._graph = graph
        self._name = name
        self._prepare = prepare
        self._outputs = outputs
        self._fixed = fixed
        self._checked = checked
        self.choice: StepChoice | None = None

    @property
    def batch(self) -> int:
        """Crops of a call that are enough to find out the fastest step, and to keep all streams busy."""
        return max(STEPS) * max(2, self._graph.streams)

    def __call__(self, crops: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for crops ``(n, H, W, 3)`` uint8 RGB, with n rows each."""
        if not len(crops):
            blank = np.zeros((1, *crops.shape[1:]), crops.dtype)
            return [output[:0] for output in self._run(blank, [self._fixed or 1])]
        if self._fixed is not None:
            return self._run(crops, [self._fixed] * -(-len(crops) // self._fixed))
        parts, start, trial = [], 0, max(STEPS) * self._graph.streams
        while self.choice is not None and self.choice.best is None and len(crops) - start >= trial:
            parts.append(self._tried(crops[start : start + trial], self.choice))
            start += trial
        if start < len(crops):
            step = self.choice.best if self.choice is not None else None
            rest = crops[start:]
            parts.append(self._run(rest, sizes_of(len(rest), step or STEPS[0], streams=self._graph.streams)))
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _tried(self, crops: np.ndarray, choice: StepChoice) -> list[np.ndarray]:
        step = choice.next()
        self._graph.prepare(step)
        began = _processor_time()
        found = self._run(crops, [step] * (len(crops) // step))
        choice.took(step, _processor_time() - began)
        if choice.best is not None:
            self._graph.keep_only(choice.best)
        return found

    def _run(self, crops: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
        """Run the graph with so many crops each; what the last runs have too many of is filled up and cut off."""
        lengths: list[int] = []

        def feeds() -> Iterator[Feed]:
            start = 0
            for size in sizes:
                some = crops[start : start + size]
                start += size
                lengths.append(len(some))
                tensor = self._prepare(some)
                yield {self._name: np.concatenate([tensor, *[tensor[-1:]] * (size - len(some))])
                       if len(some) < size else tensor}  # fmt: skip

        if list(sizes) == [1]:
            answers = [self._graph.run(next(feeds()), self._outputs)]
        else:
            answers = self._graph.run_each(feeds(), self._outputs)
        found = [
            [output[:length] for output in self._checked(answer, size)]
            for answer, size, length in zip(answers, sizes, lengths, strict=True)
        ]
        return [np.concatenate(outputs) for outputs in zip(*found, strict=True)]


def _processor_time() -> float:
    """Return what this process has computed, seconds, without the reading of files that is under way beside it."""
    return time.process_time() - processor_seconds()  # which other work on the machine changes little


def sizes_of(count: int, step: int, *, streams: int) -> list[int]:
    """Return how many crops each run has: full steps, and the rest one by one, or as another step that is filled up.

    Args:
        count: of all crops, at least 1.
        step: crops of a full step; a smaller one is taken where some streams would have nothing to do.
        streams: runs at a time.
    """
    step = max(size for size in STEPS if size <= max(1, min(step, count // streams)))
    full, rest = divmod(count, step)
    return [step] * full + ([step] if rest >= step * (1 - MAX_FILLED) and rest else [1] * rest)
