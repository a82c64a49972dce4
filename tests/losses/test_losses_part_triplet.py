"""Part triplets against the reference values, a naive loop and the behaviour with occluded parts."""

import itertools

import pytest
import torch

from unveil.losses.part_triplet import averaged_distance, part_triplet

PARTS = torch.tensor([[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(2, 0), (0, 0)], [(0, 3), (4, 0)]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1, 1])


def naive(parts, labels, margin, visibility=None, parts_used=None):
    """Mine by hand on the averaged distance."""
    used = range(parts.shape[1]) if parts_used is None else parts_used

    def distance(i, j):
        weights = [1.0 if visibility is None else float(visibility[i, k] * visibility[j, k]) for k in used]
        if sum(weights) == 0:
            return None
        return sum(w * float((parts[i, k] - parts[j, k]).norm()) for w, k in zip(weights, used, strict=True)) / sum(
            weights
        )

    hinges = []
    for a in range(len(labels)):
        others = [(j, distance(a, j)) for j in range(len(labels)) if j != a and distance(a, j) is not None]
        positive = [d for j, d in others if labels[j] == labels[a]]
        negative = [d for j, d in others if labels[j] != labels[a]]
        if positive and negative:
            hinges.append(max(max(positive) - min(negative) + margin, 0))
    return sum(hinges) / max(len(hinges), 1)


def test_reference_value_of_the_averaged_distance():
    assert part_triplet(PARTS, LABELS, margin=0.5).item() == pytest.approx(1.131103, abs=1e-6)


def test_reference_value_of_the_per_part_variant():
    assert part_triplet(PARTS, LABELS, margin=0.5, mode="per_part").item() == pytest.approx(1.224611, abs=1e-6)
    each = [part_triplet(PARTS[:, [k]], LABELS, margin=0.5).item() for k in range(2)]
    assert each == pytest.approx([1.052776, 1.396447], abs=1e-6)


def test_masked_distance_averages_what_both_show():
    distance, seen = averaged_distance(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 0.0, 1.0]))
    assert distance.item() == 2.5 and bool(seen)


@pytest.mark.parametrize("seed", range(4))
def test_against_a_naive_loop(seed):
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(7, 3, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 3, (7,), generator=generator)
    visibility = (torch.rand(7, 3, generator=generator) > 0.4).double()
    assert part_triplet(parts, labels, margin=0.3).item() == pytest.approx(naive(parts, labels, 0.3), abs=1e-9)
    seen = part_triplet(parts, labels, margin=0.3, visibility=visibility).item()
    assert seen == pytest.approx(naive(parts, labels, 0.3, visibility), abs=1e-9)
    per_part = [naive(parts, labels, 0.3, visibility, [k]) for k in range(3)]
    found = part_triplet(parts, labels, margin=0.3, mode="per_part", visibility=visibility).item()
    assert found == pytest.approx(sum(per_part) / 3, abs=1e-9)
    on_the_sphere = parts / parts.norm(dim=2, keepdim=True)
    normed = part_triplet(parts, labels, margin=0.3, distance="euclidean_normed").item()
    assert normed == pytest.approx(naive(on_the_sphere, labels, 0.3), abs=1e-9)


def test_full_visibility_changes_nothing():
    for mode in ("averaged", "per_part"):
        ones = torch.ones(4, 2)
        assert (
            part_triplet(PARTS, LABELS, margin=0.5, mode=mode, visibility=ones).item()
            == part_triplet(PARTS, LABELS, margin=0.5, mode=mode).item()
        )


def test_a_hidden_part_has_no_gradient_and_cannot_choose_the_triplet():
    parts = PARTS.clone().requires_grad_()
    visibility = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    part_triplet(parts, LABELS, margin=0.5, visibility=visibility).backward()
    assert torch.equal(parts.grad[0, 1], torch.zeros(2, dtype=torch.float64))
    far = PARTS.clone()
    far[0, 1] += 1000
    occluded = [part_triplet(p, LABELS, margin=0.5, visibility=visibility).item() for p in (PARTS, far)]
    assert occluded[0] == pytest.approx(occluded[1])


@pytest.mark.parametrize("mode", ["averaged", "per_part"])
def test_degenerate_batches_give_zero_with_finite_gradients(mode):
    cases = [
        (torch.randn(1, 2, 3), torch.tensor([0]), None),
        (torch.randn(3, 2, 3), torch.tensor([0, 1, 2]), None),
        (torch.randn(3, 2, 3), torch.tensor([0, 0, 0]), None),
        (torch.randn(4, 2, 3), LABELS, torch.zeros(4, 2)),
        (torch.ones(4, 2, 3), torch.tensor([0, 0, 1, 1]), None),
    ]
    for parts, labels, visibility in cases:
        parts = parts.requires_grad_()
        loss = part_triplet(parts, labels, margin=0.5, mode=mode, visibility=visibility)
        loss.backward()
        assert torch.isfinite(parts.grad).all()
        assert loss.item() == pytest.approx(0.5 if parts.unique().numel() == 1 else 0.0)


def test_gradcheck():
    parts = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2])
    for mode in ("averaged", "per_part"):
        assert torch.autograd.gradcheck(lambda x, mode=mode: part_triplet(x, labels, margin=2.0, mode=mode), parts)


def test_shape_error_says_what_was_found():
    with pytest.raises(ValueError, match=r"expected \(4, K, D\), got \(4, 2\)"):
        part_triplet(torch.zeros(4, 2), LABELS, margin=0.5)
    with pytest.raises(ValueError, match=r"visibility: expected \(4, 2\), got \(4, 1\)"):
        part_triplet(PARTS, LABELS, margin=0.5, visibility=torch.ones(4, 1))


def test_order_of_crops_does_not_matter():
    values = {
        round(part_triplet(PARTS[list(p)], LABELS[list(p)], margin=0.5).item(), 9)
        for p in itertools.permutations(range(4))
    }
    assert len(values) == 1
