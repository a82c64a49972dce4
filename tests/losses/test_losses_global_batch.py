"""Losses of a batch that several processes share; of a group of one process they are those of its own batch."""

import pytest
import torch
from torch import distributed

from unveil.losses.bounded_exponential import bounded_exponential, saturated_share
from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.cross_entropy import cross_entropy
from unveil.losses.part_triplet import part_triplet
from unveil.losses.symmetric_divergence import symmetric_divergence
from unveil.losses.triplet import batch_hard_triplet
from unveil.nn.global_batch import global_batch

LABELS, CLOTHES = torch.tensor([0, 0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 2, 3, 4])
VISIBILITY = (torch.rand(6, 2, generator=torch.Generator().manual_seed(1)) > 0.3).float()
LOSSES = {
    "bounded exponential": lambda x: bounded_exponential(x.flatten(1), LABELS),
    "saturated share": lambda x: saturated_share(x.flatten(1), below=0.6) + 0 * x.sum(),
    "cross-clothes triplet": lambda x: cross_clothes_triplet(x.flatten(1), LABELS, clothes=CLOTHES),
    "cross-entropy": lambda x: cross_entropy(x.flatten(1), LABELS),
    "smoothed cross-entropy": lambda x: cross_entropy(x.flatten(1), LABELS, smoothing=0.2),
    "cross-entropy smoothed over others": lambda x: cross_entropy(x.flatten(1), LABELS, smoothing=0.2, spread="others"),
    "part triplet": lambda x: part_triplet(x, LABELS, margin=0.3),
    "part triplet of visible parts": lambda x: part_triplet(x, LABELS, margin=0.3, visibility=VISIBILITY),
    "symmetric divergence": lambda x: symmetric_divergence(x[:, 0], x[:, 1], reduce="mean"),
    "triplet": lambda x: batch_hard_triplet(x.flatten(1), LABELS),
}


@pytest.fixture
def group_of_one():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.usefixtures("group_of_one")
def test_a_group_of_one_process_has_the_losses_and_gradients_of_its_batch(name):
    vectors = torch.randn(6, 2, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    alone = LOSSES[name](vectors)
    (expected,) = torch.autograd.grad(alone, vectors)
    with global_batch():
        shared = LOSSES[name](vectors)
        (found,) = torch.autograd.grad(shared, vectors)
    assert shared.item() == pytest.approx(alone.item()) != 0
    torch.testing.assert_close(found, expected)
