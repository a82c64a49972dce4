"""The batches of an epoch: drawn, by what the network has learnt so far where the recipe asks so, and loaded ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from unveil.data.samplers import epoch_batches
from unveil.models.training_crops import embed_training_crops
from unveil.progress import track
from unveil.records import Embedding
from unveil.training.run import Run

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
CROPS = 128  # embedded at a time


def batches_of(run: Run, epoch: int) -> list[np.ndarray]:
    """Return the batches of an epoch, each ``(P*K,)`` rows, the same in every process.

    With ``sampler.alike`` they depend on the weights at the beginning of the epoch: the state then keeps them, for a
    run that is resumed in the middle of it.
    """
    recipe, state = run.recipe, run.state
    if state.batch and state.batches is not None:
        return list(state.batches.numpy())

    def embed(rows: np.ndarray) -> np.ndarray:
        parts = np.array_split(rows, -(-len(rows) // CROPS))
        found = [
            embed_training_crops(run.method, run.data, rows=part, size=recipe.input, device=run.device, flip=False)
            for part in track(parts, "looking for people who look alike")
        ]
        first = torch.from_numpy(Embedding.concatenate(found).vectors[:, 0])
        return F.normalize(first, dim=1).numpy()

    def draw() -> list[np.ndarray]:
        return epoch_batches(
            run.data,
            recipe.sampler,
            seed=recipe.train.seed,
            epoch=epoch,
            max_per_person=recipe.data.max_per_person,
            embed=embed if recipe.sampler.alike else None,
        )

    if not recipe.sampler.alike:
        return draw()
    batches = run.processes.as_leader(draw)
    state.batches = torch.from_numpy(np.stack(batches))
    return batches


def one_ahead(load: Callable[[Item], Loaded], items: Iterable[Item]) -> Iterator[Loaded]:
    """Yield ``load(item)`` for each item in order, each loaded by a thread while the one before it is in use.

    Reading a step's crops from a store that is not in memory, pinning and copying them then takes no time of the steps.
    At most one result waits. An error of ``load`` is raised when its turn comes.
    """
    with ThreadPoolExecutor(1, "load") as loader:
        waiting = None
        for item in items:
            loaded, waiting = waiting, loader.submit(load, item)
            if loaded is not None:
                yield loaded.result()
        if waiting is not None:
            yield waiting.result()
