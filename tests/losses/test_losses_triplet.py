import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.losses.triplet import batch_hard, batch_hard_triplet, pairwise_distance

METRICS = ["euclidean", "cosine", "euclidean_normed"]


def naive_distance(x, y, metric):
    if metric != "euclidean":
        x, y = ([v / math.hypot(*vector) for v in vector] for vector in (x, y))
    if metric == "cosine":
        return 1 - sum(a * b for a, b in zip(x, y, strict=True))
    return math.dist(x, y)


def naive_batch_hard(distances, labels, margin, reduce="mean", valid=None):
    terms = []
    for a, label in enumerate(labels):
        others = [i for i in range(len(labels)) if i != a and (valid is None or valid[a][i])]
        positives = [distances[a][i] for i in others if labels[i] == label]
        negatives = [distances[a][i] for i in others if labels[i] != label]
        if positives and negatives:
            gap = max(positives) - min(negatives)
            terms.append(math.log1p(math.exp(gap)) if margin == 0 else max(0.0, gap + margin))
    return sum(terms) / (len(terms) if reduce == "mean" else 1) if terms else 0.0


@pytest.mark.parametrize("metric", METRICS)
def test_pairwise_distance_against_loops(metric):
    torch.manual_seed(0)
    x, y = torch.randn(2, 4, 3), torch.randn(2, 5, 3)
    out = pairwise_distance(x, y, metric=metric)
    assert out.shape == (2, 4, 5)
    for p in range(2):
        for i in range(4):
            for j in range(5):
                expected = naive_distance(x[p, i].tolist(), y[p, j].tolist(), metric)
                assert out[p, i, j].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_distance_of_equal_vectors_has_a_finite_gradient(metric):
    x = torch.ones(3, 4, requires_grad=True)
    pairwise_distance(x, x, metric=metric).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_distances_keep_single_precision_under_autocast():
    torch.manual_seed(0)
    x = torch.randn(4, 64) + 10
    with torch.autocast("cpu", torch.bfloat16):
        inside = pairwise_distance(x, x)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, pairwise_distance(x, x))
    half = x.bfloat16()
    assert torch.equal(pairwise_distance(half, half), pairwise_distance(half.float(), half.float()))


@pytest.mark.parametrize("reduce", ["mean", "sum"])
@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("metric", METRICS)
def test_triplet_against_loops(metric, margin, reduce):
    torch.manual_seed(0)
    features, labels = torch.randn(9, 4), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])
    rows = features.double().tolist()
    distances = [[naive_distance(a, b, metric) for b in rows] for a in rows]
    expected = naive_batch_hard(distances, labels.tolist(), margin, reduce)
    assert expected > 0
    out = batch_hard_triplet(features, labels, margin=margin, distance=metric, reduce=reduce)
    assert out.item() == pytest.approx(expected, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_batch_hard_of_any_labels(data):
    labels = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=7))
    n = len(labels)
    row = st.lists(st.floats(0, 4, width=32), min_size=n, max_size=n)
    distances = data.draw(st.lists(row, min_size=n, max_size=n))
    margin = data.draw(st.sampled_from([0.0, 0.5]))
    some = st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=n, max_size=n)
    for valid in (None, data.draw(some)):
        matrix = torch.tensor(distances, requires_grad=True)
        mask = None if valid is None else torch.tensor(valid)
        loss = batch_hard(matrix, torch.tensor(labels), margin=margin, valid=mask)
        assert loss.item() == pytest.approx(naive_batch_hard(distances, labels, margin, valid=valid), abs=1e-5)
        loss.backward()
        assert torch.isfinite(matrix.grad).all()


def test_part_averaged_triplet_of_the_specified_example():
    parts = torch.tensor([[[0, 0], [0, 1], [2, 0], [0, 3]], [[1, 0], [1, 1], [0, 0], [4, 0]]], dtype=torch.float32)
    labels = torch.tensor([0, 0, 1, 1])
    distances = pairwise_distance(parts, parts)
    averaged = distances.mean(dim=0)
    found = [averaged[i, j].item() for i, j in ((0, 1), (0, 2), (1, 3), (2, 3))]
    assert found == pytest.approx([1.0, 1.5, 2.581139, 3.802776], abs=1e-5)
    assert batch_hard(averaged, labels, margin=0.5).item() == pytest.approx(1.131103, abs=1e-5)
    single = [batch_hard(part, labels, margin=0.5).item() for part in distances]
    assert single == pytest.approx([1.052776, 1.396447], abs=1e-5)


def test_an_anchor_alone_is_the_mean_and_one_without_a_valid_negative_is_none():
    distances, labels = torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.0, 3.0], [1.0, 3.0, 0.0]]), torch.tensor([0, 0, 1])
    valid = torch.ones(3, 3, dtype=torch.bool)
    valid[1, 2] = False
    distances.requires_grad_()
    loss = batch_hard(distances, labels, margin=0.5, valid=valid)
    loss.backward()
    assert loss.item() == pytest.approx(2 - 1 + 0.5)
    assert distances.grad.tolist() == [[0, 1, -1], [0, 0, 0], [0, 0, 0]]


def test_pairs_that_are_not_valid_are_not_mined():
    distances = torch.tensor([[0.0, 5.0, 1.0, 3.0], [5.0, 0.0, 2.0, 2.0], [1.0, 2.0, 0.0, 1.0], [3.0, 2.0, 1.0, 0.0]])
    labels = torch.tensor([0, 0, 1, 1])
    valid = torch.ones(4, 4, dtype=torch.bool)
    valid[0, 2] = valid[2, 3] = False
    # Anchor 0: 5 - 3, anchor 1: 5 - 2, anchor 2 has no positive left, anchor 3: 1 - 2.
    assert batch_hard(distances, labels, margin=0.5, reduce="sum", valid=valid).item() == pytest.approx(2.5 + 3.5)


def test_shape_is_checked():
    with pytest.raises(ValueError, match=r"expected \(3, 3\), got \(3, 2\)"):
        batch_hard(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), margin=0.3)


def test_a_triplet_is_euclidean_with_a_margin_of_three_tenths_unless_told():
    features = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(8) // 2
    told = batch_hard_triplet(features, labels, margin=0.3, distance="euclidean", reduce="mean")
    assert batch_hard_triplet(features, labels).item() == told.item()
