import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

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
