import math

import pytest
import torch

from unveil.losses.bounded_exponential import bounded_exponential, saturated_share


@pytest.mark.parametrize(
    ("d", "positive"), [(0.0, 0.0), (0.5, 0.139292), (1.0, 0.259182), (2.0, 0.451188), (10.0, 0.950213)]
)
def test_pair_reference_values(d, positive):
    z = torch.tensor([[0.0], [d]], dtype=torch.float64)
    same = bounded_exponential(z, torch.tensor([0, 0]), normalize=False)
    other = bounded_exponential(z, torch.tensor([0, 1]), normalize=False)
    assert same.item() == pytest.approx(positive, abs=1e-6)
    assert other.item() == pytest.approx(1 - positive, abs=1e-6)


def test_batch_reference_values():
    z, labels = torch.tensor([[0.0], [1], [3], [6]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    assert bounded_exponential(z, labels, normalize=False).item() == pytest.approx(0.762259, abs=1e-6)
    assert bounded_exponential(z, labels, reduce="all", normalize=False).item() == pytest.approx(0.366070, abs=1e-6)


@pytest.mark.parametrize("reduce", ["balanced", "all"])
@pytest.mark.parametrize("normalize", [True, False])
def test_agrees_with_a_loop_over_ordered_pairs(reduce, normalize):
    generator = torch.Generator().manual_seed(0)
    z, labels = torch.randn(9, 4, generator=generator, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    vectors = z / z.norm(dim=1, keepdim=True) if normalize else z
    pairs = {True: [], False: []}
    for i in range(9):
        for j in range(9):
            if i != j:
                near = math.exp(-0.4 * (vectors[i] - vectors[j]).norm().item())
                same = bool(labels[i] == labels[j])
                pairs[same].append(1 - near if same else near)
    means = [sum(p) / len(p) for p in pairs.values()]
    everything = pairs[True] + pairs[False]
    expected = sum(means) if reduce == "balanced" else sum(everything) / len(everything)
    assert bounded_exponential(z, labels, alpha=0.4, reduce=reduce, normalize=normalize).item() == pytest.approx(
        expected, abs=1e-9
    )


def test_gradient_is_right_and_finite_for_a_duplicate():
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 0, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda v: bounded_exponential(v, labels), z)
    twice = torch.ones(2, 3, requires_grad=True)
    bounded_exponential(twice, torch.tensor([0, 0])).backward()
    assert twice.grad.isfinite().all()


def test_a_missing_kind_of_pair_counts_nothing():
    one = torch.ones(1, 3)
    assert bounded_exponential(one, torch.tensor([0])).item() == 0
    assert saturated_share(one).item() == 0


def test_saturation_shows_what_normalisation_prevents():
    z = torch.randn(8, 256, generator=torch.Generator().manual_seed(0)) * 2
    labels = torch.arange(8) // 2
    assert bounded_exponential(z, labels).item() == bounded_exponential(z, labels, normalize=True).item()
    assert saturated_share(z, normalize=False) == 1
    assert saturated_share(z) == 0
    line = torch.tensor([[0.0], [1.0], [100.0]])
    assert saturated_share(line, normalize=False).item() == pytest.approx(4 / 6)
