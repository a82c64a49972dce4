"""Learning-rate schedules as one pure function of the iteration."""

from __future__ import annotations

import math

from unveil.recipe import ScheduleSettings


def learning_rate(lr: float, settings: ScheduleSettings, iteration: int, per_epoch: int, epochs: int) -> float:
    """Return the learning rate of one iteration.

    Steps fall at whole epochs, warm-up and cosine move with every iteration. The warm-up multiplies the schedule, so
    a milestone inside it still counts.

    Args:
        lr: the full learning rate.
        settings: kind of schedule, warm-up, milestones in epochs.
        iteration: 0-based, over the whole run.
        per_epoch: iterations in an epoch.
        epochs: length of the run.
    """
    epoch = iteration / per_epoch
    if settings.kind == "step":
        lr *= settings.gamma ** sum(int(epoch) >= milestone for milestone in settings.milestones)
    elif settings.kind == "cosine":
        done = min(max(epoch - settings.hold, 0) / max(epochs - settings.hold, 1), 1)
        lr = settings.min_lr + (lr - settings.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
    warmup = max(settings.warmup_iterations, round(settings.warmup_epochs * per_epoch))
    if iteration < warmup:
        lr *= settings.warmup_from + (1 - settings.warmup_from) * iteration / warmup
    return lr
