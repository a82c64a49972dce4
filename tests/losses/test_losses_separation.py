import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unveil.losses.circle import circle_softmax
from unveil.losses.separation import separation


def test_separation_reference_value():
    parts = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert separation(torch.tensor([[1.0, 0.0]]), parts).item() == pytest.approx(3.0, abs=1e-6)


@given(st.integers(0, 1000), st.integers(1, 4), st.booleans())
def test_separation_stays_in_its_range(seed, parts, positive):
    generator = torch.Generator().manual_seed(seed)
    overall, others = torch.randn(3, 5, generator=generator), torch.randn(3, parts, 5, generator=generator)
    if positive:
        overall, others = overall.abs(), others.abs()
    value = separation(overall, others).item()
    assert (parts if positive else 0) - 1e-5 <= value <= 2 * parts + 1e-5


def test_separation_pulls_on_all_of_its_inputs():
    overall, parts = torch.randn(2, 4, requires_grad=True), torch.randn(2, 2, 4, requires_grad=True)
    separation(overall, parts).backward()
    assert overall.grad.abs().min() > 0
    assert parts.grad.abs().min() > 0


def test_circle_softmax_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    cosines = torch.rand(6, 4, generator=generator, dtype=torch.float64) * 2 - 1
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    logits = circle_softmax(cosines, labels, scale=64, margin=0.35)
    for b in range(6):
        for k in range(4):
            c = cosines[b, k].item()
            expected = 64 * max(1.35 - c, 0) * (c - 0.65) if k == labels[b] else 64 * max(c + 0.35, 0) * (c - 0.35)
            assert logits[b, k].item() == pytest.approx(expected, abs=1e-9)


def test_circle_weights_have_no_gradient():
    cosines = torch.tensor([[0.2, 0.1]], requires_grad=True)
    circle_softmax(cosines, torch.tensor([0]), 1.0, 0.35).sum().backward()
    torch.testing.assert_close(cosines.grad, torch.tensor([[1.15, 0.45]]))
