"""Directions that tell classes apart: linear discriminants, found once on vectors, without training."""

from __future__ import annotations

import torch
from torch import Tensor


def discriminants(vectors: Tensor, classes: Tensor, *, count: int, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Return the mean, and the directions in which classes differ most against what their own vectors differ by.

    ``(x - mean) @ directions.T`` has unit covariance within a class, up to the shrinkage.

    Args:
        vectors: ``(N, C)``.
        classes: ``(N,)`` codes from 0 on; each class should have several vectors.
        count: how many directions, at most C.
        shrinkage: in (0, 1]: share of the covariance within classes that is replaced by the same variance everywhere,
            so that directions hardly seen do not count beyond measure.

    Returns:
        ``(C,)`` and ``(count, C)``, in double precision.

    Raises:
        ValueError: there are more directions than values, or no class has two vectors.
    """
    x = vectors.double()
    sizes = torch.bincount(classes).double()
    if count > x.shape[1] or len(x) <= len(sizes):
        raise ValueError(f"{count} directions of {tuple(x.shape)} vectors of {len(sizes)} classes: too few")
    means = torch.zeros(len(sizes), x.shape[1], dtype=x.dtype).index_add_(0, classes, x) / sizes[:, None]
    mean = x.mean(0)
    apart = x - means[classes]
    within = apart.T @ apart / (len(x) - len(sizes))
    # What the means of small classes differ by, by chance alone, says nothing.
    between = (means - mean).T @ (means - mean) / len(sizes) - within * (1 / sizes).mean()
    shrunk = (1 - shrinkage) * within + shrinkage * within.diagonal().mean() * torch.eye(len(within), dtype=x.dtype)
    values, vectors_within = torch.linalg.eigh(shrunk)
    whiten = vectors_within * values.rsqrt() @ vectors_within.T
    _, order = torch.linalg.eigh(whiten @ between @ whiten)
    return mean, order.flip(1)[:, :count].T @ whiten
