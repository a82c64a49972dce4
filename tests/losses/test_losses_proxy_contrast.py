"""Contrast with proxies, against sums written out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from unveil.losses.proxy_contrast import camera_proxy_contrast, cluster_contrast


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_contrast_with_clusters_is_the_sum_of_equation_2():
    vectors, centroids, labels = unit(4, 8), unit(3, 8, seed=1), torch.tensor([0, 2, 1, 0])
    expected = 0.0
    for v, y in zip(vectors, labels, strict=True):
        exps = [math.exp(float(v @ c) / 0.1) for c in centroids]
        expected -= math.log(exps[y] / sum(exps)) / 4
    assert math.isclose(
        cluster_contrast(vectors, labels, centroids=centroids, temperature=0.1).item(), expected, rel_tol=1e-5
    )


def test_contrast_with_cameras_is_the_sum_of_equation_6():
    vectors, labels = unit(3, 8), torch.tensor([0, 1, 1])
    proxies, owners = unit(7, 8, seed=1), torch.tensor([0, 0, 1, 2, 2, 3, 3])
    expected = 0.0
    for v, y in zip(vectors, labels, strict=True):
        exps = [math.exp(float(v @ p) / 0.1) for p in proxies]
        own = [e for e, owner in zip(exps, owners, strict=True) if owner == y]
        hard = sorted((e for e, owner in zip(exps, owners, strict=True) if owner != y), reverse=True)[:2]
        expected -= sum(math.log(e / (sum(own) + sum(hard))) for e in own) / len(own) / 3
    found = camera_proxy_contrast(vectors, labels, proxies=proxies, owners=owners, temperature=0.1, hard=2)
    assert math.isclose(found.item(), expected, rel_tol=1e-5)


def test_a_single_cluster_has_no_negatives_and_a_finite_loss():
    vectors = unit(2, 4).requires_grad_()
    loss = camera_proxy_contrast(
        vectors, torch.tensor([0, 0]), proxies=unit(2, 4, seed=1), owners=torch.tensor([0, 0]), temperature=0.1
    )
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(vectors.grad).all()


def test_clusters_that_may_be_one_person_are_not_contrasted():
    vectors, labels = unit(3, 8), torch.tensor([0, 1, 2])
    undecided = torch.zeros(3, 3, dtype=torch.bool)
    undecided[0, 1] = undecided[1, 0] = True
    centroids = unit(3, 8, seed=1)
    likeness = (vectors @ centroids.T / 0.1).tolist()
    left = {0: (0, 2), 1: (1, 2), 2: (0, 1, 2)}
    expected = sum(math.log(sum(math.exp(likeness[i][c]) for c in left[i])) - likeness[i][i] for i in range(3)) / 3
    found = cluster_contrast(vectors, labels, centroids=centroids, temperature=0.1, undecided=undecided)
    assert math.isclose(found.item(), expected, rel_tol=1e-5)

    proxies, owners = unit(4, 8, seed=2), torch.tensor([0, 1, 1, 2])
    likeness = (vectors @ proxies.T / 0.1).tolist()
    left, own = {0: (0, 3), 1: (1, 2, 3), 2: (0, 1, 2, 3)}, {0: (0,), 1: (1, 2), 2: (3,)}
    expected = 0.0
    for i in range(3):
        total = math.log(sum(math.exp(likeness[i][p]) for p in left[i]))
        expected += sum(total - likeness[i][p] for p in own[i]) / len(own[i]) / 3
    found = camera_proxy_contrast(vectors, labels, proxies=proxies, owners=owners, temperature=0.1, undecided=undecided)
    assert math.isclose(found.item(), expected, rel_tol=1e-5)


def test_the_fifty_nearest_of_others_are_negatives():
    vectors, labels, proxies, owners = unit(2, 4), torch.tensor([0, 1]), unit(80, 4, seed=1), torch.arange(80)
    expected = 0.0  # so warm that the fiftieth counts as well
    for v, y in zip(vectors, labels, strict=True):
        exps = [math.exp(float(v @ p) / 2) for p in proxies]
        hard = sorted((e for e, owner in zip(exps, owners, strict=True) if owner != y), reverse=True)[:50]
        expected -= math.log(exps[y] / (exps[y] + sum(hard))) / 2
    found = camera_proxy_contrast(vectors, labels, proxies=proxies, owners=owners, temperature=2.0)
    assert math.isclose(found.item(), expected, rel_tol=1e-6)
