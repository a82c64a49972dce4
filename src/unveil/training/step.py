"""One step of training: batches, augmentation, losses, gradients, optimisers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unveil.data.augment.pipeline import augment, shrink
from unveil.methods.method import Step
from unveil.models.device import use_bf16
from unveil.records import Batch
from unveil.training.divergence import check_finite
from unveil.training.optimisers import auxiliary_update, set_frozen
from unveil.training.run import Run


def train_step(run: Run, micro_batches: Sequence[Batch], *, epoch: int, rate: float) -> dict[str, float]:
    """Take one optimiser step and return its losses, by name, ``loss`` being their sum, and what the method tells.

    Gradients and losses are the means over the micro-batches. Whatever compares crops sees one micro-batch at a time:
    triplets are mined in it, batch norms take their statistics from it, memories and running means move with each. N
    of them are therefore not one batch N times as large, whose triplets would be harder. Clipping, both optimisers and
    the average of the weights take one step.

    Args:
        run: moves on by a step.
        micro_batches: crops of each, as uint8 on the run's device; every process takes its part of each of them.
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
    auxiliary = auxiliary_update(
        run.auxiliary, average=run.processes.average_gradients, micro_batches=len(micro_batches)
    )
    step = Step(epoch, iteration, auxiliary)
    run.optimiser.zero_grad(set_to_none=True)
    terms: dict[str, Tensor] = {}
    for number in range(len(micro_batches)):
        for name, share in _add_gradients(run, micro_batches, number=number, step=step).items():
            terms[name] = terms[name] + share if name in terms else share
    trained = [p for group in run.optimiser.param_groups for p in group["params"] if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in trained])
    parts = torch.stack(list(terms.values()))
    # Read together, once a step: each reading waits for the device.
    told = {name: value.detach().float() for name, value in method.diagnostics().items()}
    seen = run.processes.average(torch.stack([parts.sum(), *parts, norm.detach(), *told.values()]))
    read = iter(seen.tolist())
    total, shown = next(read), {name: next(read) for name in terms}
    gradient, rest = next(read), {name: next(read) for name in told}
    values = {"loss": total, **shown}
    check_finite(values, shown, epoch=epoch, iteration=iteration)
    check_finite({"gradient": gradient}, shown, epoch=epoch, iteration=iteration)
    if recipe.optim.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(trained, recipe.optim.clip_norm, norm)
    run.optimiser.step()
    if run.average:
        run.average.update(method, iteration)
    return values | rest


def _add_gradients(run: Run, micro_batches: Sequence[Batch], *, number: int, step: Step) -> dict[str, Tensor]:
    """Add the share of one micro-batch to the gradients of a step, and return its share of the losses."""
    recipe, count = run.recipe, len(micro_batches)
    batch = _prepared(run, micro_batches[number], epoch=step.epoch)
    bf16 = use_bf16(recipe.train.precision, run.device)
    with run.processes.accumulate(run.losses, last=number == count - 1):
        with (
            run.processes.forward(
                seed=recipe.train.seed, iteration=step.iteration, micro_batch=number, device=run.device
            ),
            torch.autocast(run.device.type, torch.bfloat16, enabled=bf16),
        ):
            terms = run.losses(batch, step)
        parts = torch.stack([term.float() for term in terms.values()]) / count
        parts.sum().backward()
    return dict(zip(terms, parts.detach(), strict=True))


def _prepared(run: Run, batch: Batch, *, epoch: int) -> Batch:
    """Return this process's part of a batch, as the losses see it."""
    recipe = run.recipe
    if epoch < recipe.augment.small_epochs:
        batch = shrink(batch, recipe.augment.small_scale)
    batch = run.method.expand_batch(batch)
    batch = augment(batch, recipe.augment, size=recipe.input, generator=run.generator, scheme=run.data.parsing_scheme)
    batch = run.processes.part(run.method.erase(batch))
    return batch.replace(images=batch.images.contiguous(memory_format=torch.channels_last))
