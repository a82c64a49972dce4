"""A trained model run by PyTorch, on the device where it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from unveil.export.graph import Graph, metadata_of
from unveil.inference.engine import BATCH, Engine
from unveil.inference.steps import StepChoice, SteppedRunner
from unveil.models.checkpoint import TrainedModel
from unveil.runtime.graph import Feed


def torch_engine(model: TrainedModel, threads: int | None = None, *, batch: int | None = None) -> Engine:
    """Return an engine that runs PyTorch, on the device of the model.

    Args:
        model: the model.
        threads: threads of one inference; as PyTorch has it by default.
        batch: crops at a time; `unveil.inference.engine.BATCH` by default, on the CPU in the steps that are fastest.
    """
    if threads:
        torch.set_num_threads(threads)
    eager = _Eager(model)
    stepped = SteppedRunner(eager, "images", prepare=lambda crops: crops, outputs=("vectors", "visibility"))
    stepped.choice = StepChoice(model.card.fingerprint, "torch", threads=torch.get_num_threads())
    on_cpu = model.device.type == "cpu"

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, visibility = stepped(crops) if on_cpu else eager.run({"images": crops})
        return vectors, visibility

    return Engine(
        "torch", metadata_of(model), run=run, name=model.name, batch=batch or BATCH, cameras=model.cameras,
        of_camera=model.of_camera,
    )  # fmt: skip


class _Eager:
    """PyTorch as a graph that is run; see `unveil.inference.steps.Runs`."""

    streams = 1

    def __init__(self, model: TrainedModel) -> None:
        self._graph = Graph(model)
        self._device = model.device

    def run(self, feed: Feed, outputs: Sequence[str] = ()) -> list[np.ndarray]:
        """Return vectors and visibility of one feed."""
        # Crops of an image store are read-only, which PyTorch warns about.
        images = torch.from_numpy(np.require(feed["images"], requirements="W")).to(self._device)
        with torch.inference_mode():
            return [out.cpu().numpy() for out in self._graph(images)]

    def run_each(self, feeds: Iterable[Feed], outputs: Sequence[str]) -> list[list[np.ndarray]]:
        """Return vectors and visibility of each feed, in order."""
        return [self.run(feed, outputs) for feed in feeds]

    def prepare(self, count: int) -> None:
        """PyTorch prepares nothing."""

    def keep_only(self, count: int) -> None:
        """PyTorch keeps nothing."""
