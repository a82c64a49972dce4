import pytest
import torch

from unveil.losses.circle import circle_softmax


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
    assert torch.equal(circle_softmax(cosines, labels), logits)  # scale and margin are FastReID's unless told


def test_circle_weights_have_no_gradient():
    cosines = torch.tensor([[0.2, 0.1]], requires_grad=True)
    circle_softmax(cosines, torch.tensor([0]), scale=1.0, margin=0.35).sum().backward()
    torch.testing.assert_close(cosines.grad, torch.tensor([[1.15, 0.45]]))
