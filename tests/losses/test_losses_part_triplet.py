import pytest
import torch

from unveil.losses.part_triplet import part_triplet

PARTS = torch.tensor([[[0.0, 0], [1, 0]], [[0, 1], [1, 1]], [[2, 0], [0, 0]], [[0, 3], [4, 0]]], dtype=torch.float64)
LABELS = torch.tensor([0, 0, 1, 1])


def naive(parts, labels, margin, visible):
    """Loop over anchors and pairs, with the distance averaged over the parts that both show."""
    losses = []
    for a in range(len(parts)):
        distance = {}
        for b in range(len(parts)):
            both = [k for k in range(parts.shape[1]) if visible[a][k] and visible[b][k]]
            if b != a and both:
                distance[b] = sum((parts[a, k] - parts[b, k]).norm() for k in both) / len(both)
        positive = [d for b, d in distance.items() if labels[b] == labels[a]]
        negative = [d for b, d in distance.items() if labels[b] != labels[a]]
        if positive and negative:
            losses.append(max(max(positive) - min(negative) + margin, 0))
    return sum(losses) / max(len(losses), 1)


def test_reference_values():
    assert part_triplet(PARTS, LABELS, 0.5).item() == pytest.approx(1.131103, abs=1e-6)
    assert part_triplet(PARTS, LABELS, 0.5, "per_part").item() == pytest.approx(1.224611, abs=1e-6)
    per_part = [part_triplet(PARTS[:, [k]], LABELS, 0.5).item() for k in range(2)]
    assert per_part == pytest.approx([1.052776, 1.396447], abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_hidden_parts_do_not_count(seed):
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(8, 3, 4, generator=generator, dtype=torch.float64)
    visible = torch.rand(8, 3, generator=generator) < 0.6
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    found = part_triplet(parts, labels, 0.3, visibility=visible)
    assert found.item() == pytest.approx(float(naive(parts, labels, 0.3, visible.tolist())), abs=1e-9)


def test_mining_after_averaging_differs_from_the_mean_of_single_parts():
    assert part_triplet(PARTS, LABELS, 0.5) < part_triplet(PARTS, LABELS, 0.5, "per_part")


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"expected \(B, K, D\)"):
        part_triplet(PARTS[:, 0], LABELS, 0.3)
