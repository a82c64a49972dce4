"""The batches of an epoch, drawn by what the network has learnt so far where the recipe asks for that."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from unveil.data.samplers import epoch_batches
from unveil.progress import track
from unveil.records import Embedding
from unveil.training.embedding import embed_training_crops
from unveil.training.run import Run

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
            embed_training_crops(run.method, run.data, rows=part, size=recipe.input, device=run.device)
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
