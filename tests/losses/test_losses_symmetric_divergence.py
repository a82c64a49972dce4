import math

import pytest
import torch

from unveil.losses.symmetric_divergence import symmetric_divergence


def softmax(row):
    powers = [math.exp(value) for value in row]
    return [power / sum(powers) for power in powers]


def test_agrees_with_a_loop():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        for p, q in zip(softmax(a), softmax(b), strict=True):
            total += p * math.log(p / q) + q * math.log(q / p)
    assert symmetric_divergence(first, second, reduce="sum").item() == pytest.approx(total)
    assert symmetric_divergence(second, first, reduce="mean").item() == pytest.approx(total / 3)
    assert symmetric_divergence(first, first + 2, reduce="sum").item() == pytest.approx(0.0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3\) and \(2, 4\)"):
        symmetric_divergence(torch.zeros(2, 3), torch.zeros(2, 4), reduce="sum")
