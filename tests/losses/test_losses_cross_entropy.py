import math

import pytest
import torch

from unveil.losses.cross_entropy import cross_entropy


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("spread", ["all", "others"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_against_loops(smoothing, spread, classes):
    torch.manual_seed(0)
    logits, labels = torch.randn(4, classes), torch.tensor([0, 4, 2, 2]) % classes
    total = 0.0
    for row, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        norm = math.log(sum(math.exp(v) for v in row))
        for k, value in enumerate(row):
            if spread == "all":
                q = (1 - smoothing) * (k == label) + smoothing / classes
            else:
                q = 1 - smoothing if k == label else smoothing / (classes - 1)
            total -= q * (value - norm)
    found = cross_entropy(logits, labels, smoothing=smoothing, spread=spread)
    assert found.item() == pytest.approx(total / 4, rel=1e-5)
    if spread == "all":
        assert cross_entropy(logits, labels, smoothing=smoothing).item() == found.item()
    if not smoothing:
        assert cross_entropy(logits, labels).item() == found.item()


def test_smoothed_cross_entropy_of_the_specified_example():
    logits = torch.tensor([[2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    assert cross_entropy(logits, torch.tensor([0]), smoothing=0.1).item() == pytest.approx(0.872323, abs=1e-6)


def test_one_class_is_no_error():
    assert (
        cross_entropy(torch.ones(2, 1), torch.zeros(2, dtype=torch.long), smoothing=0.1, spread="others").item() == 0.0
    )
