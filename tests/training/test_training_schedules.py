import math

import pytest

from unveil.recipe import ScheduleSettings
from unveil.training.schedules import learning_rate


def rate(settings, epoch, iteration=0, per_epoch=10, epochs=60):
    return learning_rate(
        1.0, settings, epoch=epoch + iteration / per_epoch, iteration=epoch * per_epoch + iteration, epochs=epochs
    )


def test_steps_fall_at_whole_epochs():
    steps = ScheduleSettings(kind="step", milestones=(40, 70), gamma=0.1)
    assert [rate(steps, e, epochs=120) for e in (0, 39, 40, 69, 70)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert rate(steps, 39, 9) == 1


def test_warmup_is_linear_from_its_factor_to_the_full_rate():
    warm = ScheduleSettings(kind="constant", warmup_epochs=10, warmup_from=0.1)
    assert rate(warm, 0) == pytest.approx(0.1)
    assert rate(warm, 5) == pytest.approx(0.55)
    assert rate(warm, 10) == 1


def test_warmup_in_iterations_outlasts_a_shorter_one_in_epochs():
    warm = ScheduleSettings(kind="constant", warmup_epochs=1, warmup_iterations=20, warmup_from=0.5)
    assert rate(warm, 1) == pytest.approx(0.75)


def test_cosine_holds_then_falls_to_the_minimum():
    cosine = ScheduleSettings(kind="cosine", hold=30, min_lr=0.01)
    assert rate(cosine, 30) == 1
    assert rate(cosine, 45) == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi / 2)))
    assert rate(cosine, 60) == pytest.approx(0.01)
