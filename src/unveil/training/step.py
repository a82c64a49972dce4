"""One step of training: batch, augmentation, losses, gradients, optimisers."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data.augment.pipeline import augment, shrink
from unveil.methods.method import Step
from unveil.models.device import use_bf16
from unveil.records import Batch
from unveil.training.divergence import check_finite
from unveil.training.optimisers import auxiliary_update, set_frozen
from unveil.training.run import Run


def train_step(run: Run, indices: np.ndarray, *, epoch: int, rate: float) -> dict[str, float]:
    """Take a step and return the losses of the whole batch, by name; ``loss`` is their sum.

    Args:
        run: moves on by a step.
        indices: rows of the whole batch.
        epoch: from 0.
        rate: learning rate.

    Raises:
        TrainingError: a loss or a gradient is not finite.
    """
    recipe, method, iteration = run.recipe, run.method, run.state.iteration
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    if iteration <= recipe.optim.freeze_iterations and recipe.optim.freeze_iterations:
        set_frozen(method.frozen_modules(), frozen=iteration < recipe.optim.freeze_iterations)
    batch = _batch(run, indices, epoch=epoch)
    step = Step(epoch, iteration, auxiliary_update(run.auxiliary, average=run.processes.average_gradients))
    bf16 = use_bf16(recipe.train.precision, run.device)
    with (
        run.processes.forward(seed=recipe.train.seed, iteration=iteration, device=run.device),
        torch.autocast(run.device.type, torch.bfloat16, enabled=bf16),
    ):
        terms = run.losses(batch, step)
    parts = torch.stack([term.float() for term in terms.values()])
    loss = parts.sum()
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    trained = [p for group in run.optimiser.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in trained])
    # Read together, once a step: each reading waits for the device.
    seen = run.processes.average(torch.cat([loss.detach()[None], parts.detach(), norm.detach()[None]]))
    *read, gradient = seen.tolist()
    shown = dict(zip(terms, read[1:], strict=True))
    values = {"loss": read[0], **shown}
    check_finite(values, shown, epoch=epoch, iteration=iteration)
    check_finite({"gradient": gradient}, shown, epoch=epoch, iteration=iteration)
    if recipe.optim.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(trained, recipe.optim.clip_norm, norm)
    run.optimiser.step()
    if run.average:
        run.average.update(method, iteration)
    return values


def _batch(run: Run, indices: np.ndarray, *, epoch: int) -> Batch:
    """Return this process's part of a batch, as the losses see it."""
    recipe = run.recipe
    batch = run.data.batch(indices, run.device)
    if epoch < recipe.augment.small_epochs:
        batch = shrink(batch, recipe.augment.small_scale)
    batch = run.method.expand_batch(batch)
    batch = augment(batch, recipe.augment, size=recipe.input, generator=run.generator, scheme=run.data.parsing_scheme)
    batch = run.processes.part(run.method.erase(batch))
    return batch.replace(images=batch.images.contiguous(memory_format=torch.channels_last))
