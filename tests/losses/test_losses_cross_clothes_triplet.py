import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.losses.cross_clothes_triplet import cross_clothes_triplet
from unveil.losses.triplet import batch_hard_triplet

VECTORS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]], dtype=torch.float64)
PERSONS, CLOTHES = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 0, 2])


def cosine_distance(x, y):
    return 1 - sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))


def naive(vectors, persons, clothes, margin):
    """List every triplet's hinge."""
    hinges = []
    for i, anchor in enumerate(vectors):
        negatives = [cosine_distance(anchor, v) for v, p in zip(vectors, persons, strict=True) if p != persons[i]]
        for j, other in enumerate(vectors):
            if negatives and persons[j] == persons[i] and clothes[j] != clothes[i]:
                hinges.append(max(margin + cosine_distance(anchor, other) - min(negatives), 0.0))
    return hinges


def test_reference_values():
    assert len(naive(VECTORS.tolist(), PERSONS.tolist(), CLOTHES.tolist(), 0.3)) == 4
    assert cross_clothes_triplet(VECTORS, PERSONS, clothes=CLOTHES, reduce="sum").item() == pytest.approx(0.3, abs=1e-9)
    assert cross_clothes_triplet(VECTORS, PERSONS, clothes=CLOTHES).item() == pytest.approx(0.075, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 1.0), st.integers(1, 4))
def test_against_loops(seed, margin, people):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    persons = torch.randint(people, (7,), generator=generator)
    clothes = 2 * persons + torch.randint(2, (7,), generator=generator)
    hinges = naive(vectors.tolist(), persons.tolist(), clothes.tolist(), margin)
    total = cross_clothes_triplet(vectors, persons, clothes=clothes, margin=margin, reduce="sum")
    mean = cross_clothes_triplet(vectors, persons, clothes=clothes, margin=margin)
    assert total.item() == pytest.approx(sum(hinges), abs=1e-9)
    assert mean.item() == pytest.approx(sum(hinges) / max(len(hinges), 1), abs=1e-9)
    (gradient,) = torch.autograd.grad(mean, vectors)
    assert gradient.isfinite().all()


def test_a_batch_in_which_nobody_has_changed_clothes():
    vectors = VECTORS.clone().requires_grad_()
    loss = cross_clothes_triplet(vectors, PERSONS, clothes=PERSONS)
    loss.backward()
    assert loss.item() == 0 and vectors.grad.abs().max() == 0
    fallback = cross_clothes_triplet(VECTORS, PERSONS, clothes=PERSONS, without_pairs="batch_hard")
    expected = batch_hard_triplet(VECTORS, PERSONS, margin=0.3, distance="cosine")
    assert fallback.item() == expected.item() > 0
    summed = cross_clothes_triplet(VECTORS, PERSONS, clothes=PERSONS, without_pairs="batch_hard", reduce="sum")
    expected = batch_hard_triplet(VECTORS, PERSONS, margin=0.3, distance="cosine", reduce="sum")
    assert summed.item() == expected.item() > fallback.item()
    changed = cross_clothes_triplet(VECTORS, PERSONS, clothes=CLOTHES, without_pairs="batch_hard")
    assert changed.item() == pytest.approx(0.075)


def test_unknown_clothes_are_an_outfit_of_their_own():
    """Wherever the crop stands in the batch, it is in none of the known outfits and in none of another crop."""
    vectors = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    persons = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    for clothes in ([-1, -1, 0, 1, 2, -1, 3, -1], [1, 0, -1, -1, -1, 3, 2, -1], [0, 1, 0, -1, 1, 0, -1, 0]):
        named = [10 + k if outfit < 0 else outfit for k, outfit in enumerate(clothes)]
        hinges = naive(vectors.tolist(), persons.tolist(), named, 0.5)
        found = cross_clothes_triplet(vectors, persons, clothes=torch.tensor(clothes), margin=0.5, reduce="sum")
        assert found.item() == pytest.approx(sum(hinges), abs=1e-9)


def test_one_person_alone_gives_zero():
    assert cross_clothes_triplet(VECTORS, torch.zeros(4), clothes=CLOTHES).item() == 0


def test_gradients():
    torch.manual_seed(0)
    vectors = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    persons, clothes = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 1, 1, 2, 3, 3])
    torch.autograd.gradcheck(lambda x: cross_clothes_triplet(x, persons, clothes=clothes, margin=1.0), vectors)
