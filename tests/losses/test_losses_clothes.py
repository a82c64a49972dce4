import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.losses.clothes import clothes_adversarial_loss, clothes_loss

COSINES = torch.tensor([[0.5, 0.3, 0.1, -0.2]], dtype=torch.float64)
FIRST = torch.tensor([0])


def naive(cosines, clothes, persons, owners, scale, epsilon):
    total = 0.0
    for row, worn, person in zip(cosines.tolist(), clothes.tolist(), persons.tolist(), strict=True):
        logits = [scale * value for value in row]
        own = [j for j, owner in enumerate(owners.tolist()) if owner == person]
        others = sum(math.exp(logits[j]) for j in range(len(logits)) if j not in own)
        for j in own:
            log_p = logits[j] - math.log(math.exp(logits[j]) + others)
            total -= ((1 - epsilon) * (j == worn) + epsilon / len(own)) * log_p
    return total / len(cosines)


def test_reference_values():
    owners = torch.tensor([0, 0, 1, 1])
    assert clothes_adversarial_loss(COSINES, FIRST, persons=FIRST, owners=owners).item() == pytest.approx(
        0.00360392, abs=1e-8
    )
    assert clothes_loss(COSINES, FIRST).item() == pytest.approx(0.04156165, abs=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([1.0, 16.0]), st.sampled_from([0.0, 0.1, 0.7]))
def test_adversarial_loss_against_loops(seed, scale, epsilon):
    generator = torch.Generator().manual_seed(seed)
    owners = torch.tensor([0, 1, 0, 2, 2, 0])
    cosines = torch.rand(5, 6, generator=generator, dtype=torch.float64) * 2 - 1
    clothes = torch.randint(0, 6, (5,), generator=generator)
    found = clothes_adversarial_loss(
        cosines, clothes, persons=owners[clothes], owners=owners, scale=scale, epsilon=epsilon
    )
    expected = naive(cosines, clothes, owners[clothes], owners, scale, epsilon)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_with_one_outfit_a_person_it_is_the_clothes_loss():
    cosines = torch.rand(6, 4, dtype=torch.float64) * 2 - 1
    clothes, owners = torch.tensor([0, 1, 2, 3, 0, 2]), torch.tensor([5, 7, 6, 4])
    found = clothes_adversarial_loss(cosines, clothes, persons=owners[clothes], owners=owners)
    torch.testing.assert_close(found, clothes_loss(cosines, clothes))


def test_a_batch_of_the_only_person_gives_zero_and_finite_gradients():
    cosines = COSINES.clone().requires_grad_()
    loss = clothes_adversarial_loss(cosines, FIRST, persons=FIRST, owners=torch.zeros(4, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0 and cosines.grad is not None and cosines.grad.abs().max() == 0


def test_gradients():
    owners = torch.tensor([0, 0, 1, 1])
    cosines = (torch.rand(3, 4, dtype=torch.float64) - 0.5).requires_grad_()
    clothes = torch.tensor([1, 2, 3])
    torch.autograd.gradcheck(
        lambda x: clothes_adversarial_loss(x, clothes, persons=owners[clothes], owners=owners, scale=4.0), cosines
    )
    torch.autograd.gradcheck(lambda x: clothes_loss(x, clothes, scale=4.0), cosines)
    torch.testing.assert_close(clothes_loss(cosines, clothes, scale=4.0), F.cross_entropy(4 * cosines, clothes))
