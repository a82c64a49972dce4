"""Learning-rate schedules as one pure function of the place in a run."""

from __future__ import annotations

import math

from unveil.recipe import ScheduleSettings


def learning_rate(lr: float, settings: ScheduleSettings, *, epoch: float, iteration: int, epochs: int) -> float:
    """Return the learning rate of one iteration.

    Steps fall at whole epochs, warm-up and cosine move with every iteration. The warm-up multiplies the schedule, so
    a milestone inside it still counts; of a warm-up in epochs and one in iterations the slower holds.

    Args:
        lr: the full learning rate.
        settings: kind of schedule, warm-up, milestones in epochs.
        epoch: epochs done, with the fraction of the present one; samplers need not give every epoch as many batches.
        iteration: 0-based, over the whole run.
        epochs: length of the run.
    """
    if settings.kind == "step":
        lr *= settings.gamma ** sum(int(epoch) >= milestone for milestone in settings.milestones)
    elif settings.kind == "cosine":
        done = min(max(epoch - settings.hold, 0) / max(epochs - settings.hold, 1), 1)
        lr = settings.min_lr + (lr - settings.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
    places = ((epoch, settings.warmup_epochs), (iteration, settings.warmup_iterations))
    warm = min((now / length for now, length in places if length), default=1.0)
    return lr * (settings.warmup_from + (1 - settings.warmup_from) * min(warm, 1.0))
