"""A trained model run by PyTorch, on the device where it is."""

from __future__ import annotations

import numpy as np
import torch

from unveil.export.graph import Graph, metadata_of
from unveil.inference.engine import BATCH, Engine
from unveil.models.checkpoint import TrainedModel


def torch_engine(model: TrainedModel, threads: int | None = None, *, batch: int | None = None) -> Engine:
    """Return an engine that runs PyTorch, on the device of the model.

    Args:
        model: the model.
        threads: threads of one inference; as PyTorch has it by default.
        batch: crops at a time; `unveil.inference.engine.BATCH` by default.
    """
    graph = Graph(model)
    if threads:
        torch.set_num_threads(threads)

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            vectors, visibility = graph(torch.from_numpy(crops).to(model.device))
        return vectors.cpu().numpy(), visibility.cpu().numpy()

    return Engine(
        "torch", metadata_of(model), run, name=model.name, batch=batch or BATCH, cameras=model.cameras,
        of_camera=model.of_camera,
    )  # fmt: skip
