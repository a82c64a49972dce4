"""The running average of the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unveil.errors import CheckpointError
from unveil.recipe import Recipe
from unveil.training.average import WARM_UP, WeightAverage
from unveil.training.resuming import Identity
from unveil.training.state import TrainState, load_state, save_state


def test_it_is_the_average_of_a_naive_loop_and_counts_batches():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = WeightAverage(module, 0.6)
    expected = module[0].weight.detach().clone()
    for iteration in range(20):
        with torch.no_grad():
            module[0].weight.add_(torch.randn(2, 3))
            module[1].num_batches_tracked.add_(1)
        average.update(module, iteration)
        decay = min(0.6, (1 + iteration) / (WARM_UP + iteration))
        expected = decay * expected + (1 - decay) * module[0].weight.detach()
    torch.testing.assert_close(average.state["0.weight"], expected)
    assert average.state["1.num_batches_tracked"] == 20


def test_a_state_is_restored_to_where_the_average_is(tmp_path):
    """A run on a GPU has its average there; what is read of a file is on the CPU."""

    def saved_and_loaded(average):
        module, generator = nn.Linear(2, 2), torch.Generator()
        parts = {"optimisers": [], "generator": generator, "identity": Identity.of(Recipe(), "hash")}
        save_state(tmp_path, module, **parts, train_state=TrainState(), average=WeightAverage(module, 0.9))
        load_state(tmp_path, module, **parts, average=average)
        return module

    average = WeightAverage(nn.Linear(2, 2), 0.9)
    module = saved_and_loaded(average)
    assert torch.equal(average.state["weight"], module.weight)
    elsewhere = WeightAverage(nn.Linear(2, 2, device="meta"), 0.9)
    saved_and_loaded(elsewhere)
    assert {tensor.device.type for tensor in elsewhere.state.values()} == {"meta"}
    more = WeightAverage(nn.Sequential(nn.Linear(2, 2)), 0.9)
    with pytest.raises(CheckpointError, match="is damaged"):
        saved_and_loaded(more)


def test_it_is_applied_within_the_block_alone():
    module = nn.Linear(2, 2)
    average = WeightAverage(module, 0.9)
    own = module.weight.detach().clone()
    average.state["weight"] = torch.zeros(2, 2)
    with average.applied(module):
        assert module.weight.abs().sum() == 0
    assert torch.equal(module.weight, own)
