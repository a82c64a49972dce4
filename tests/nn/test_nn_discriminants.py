"""Discriminants: they find the direction that classes differ in, and none where chance alone makes means differ."""

from __future__ import annotations

import pytest
import torch

from unveil.nn.projections.discriminants import discriminants


def _drawn(classes: int, each: int, *, between: float, within: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes that differ along the first of six values alone, and vectors of a class along the second most."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.arange(classes).repeat_interleave(each)
    vectors = 0.3 * torch.randn(len(codes), 6, generator=generator) + 5
    vectors[:, 1] += within * torch.randn(len(codes), generator=generator)
    vectors[:, 0] += between * torch.randn(classes, generator=generator)[codes]
    return vectors, codes


def test_the_direction_in_which_classes_differ_comes_first():
    vectors, codes = _drawn(200, 4, between=1.0, within=3.0)
    mean, directions = discriminants(vectors, codes, count=2, shrinkage=0.01)
    torch.testing.assert_close(mean, vectors.double().mean(0))
    assert directions.shape == (2, 6)
    first = directions[0] / directions[0].norm()
    assert abs(first[0]) > 0.99


def test_vectors_of_a_class_have_unit_variance_afterwards():
    vectors, codes = _drawn(400, 5, between=1.0, within=3.0)
    mean, directions = discriminants(vectors, codes, count=6, shrinkage=1e-6)
    seen = (vectors.double() - mean) @ directions.T
    means = torch.zeros(400, 6, dtype=torch.float64).index_add_(0, codes, seen) / 5
    apart = seen - means[codes]
    torch.testing.assert_close(
        apart.T @ apart / (len(seen) - 400), torch.eye(6, dtype=torch.float64), atol=1e-4, rtol=0
    )


def test_all_of_the_shrinkage_leaves_lengths_as_they_are():
    vectors, codes = _drawn(50, 4, between=1.0, within=3.0)
    _, directions = discriminants(vectors, codes, count=6, shrinkage=1.0)
    product = directions.T @ directions
    torch.testing.assert_close(product / product[0, 0], torch.eye(6, dtype=torch.float64), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("count", "codes"), [(7, [0, 0, 1, 1]), (2, [0, 1, 2, 3])])
def test_too_many_directions_and_classes_of_one_are_refused(count, codes):
    with pytest.raises(ValueError, match="too few"):
        discriminants(torch.randn(4, 6), torch.tensor(codes), count=count, shrinkage=0.5)
