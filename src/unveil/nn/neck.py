"""Between the pooled vector and the identity loss: batch-norm necks and the classifiers behind them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bn_neck(channels: int) -> nn.BatchNorm1d:
    """Return the BNNeck: batch norm whose bias stays 0 (Luo et al., CVPRW 2019, section 3.5)."""
    neck = nn.BatchNorm1d(channels)
    neck.bias.requires_grad_(False)
    return neck


def cal_neck(channels: int) -> nn.BatchNorm1d:
    """Return the neck of CAL (Gu et al., CVPR 2022): batch norm with both affine terms, weights drawn around 1."""
    neck = nn.BatchNorm1d(channels)
    nn.init.normal_(neck.weight, 1.0, 0.02)
    return neck


def linear_classifier(channels: int, classes: int, std: float = 0.001, bias: bool = False) -> nn.Linear:
    """Return a classifier with small random weights.

    Args:
        channels: length of the input vector.
        classes: number of identities or outfits.
        std: deviation of the first weights; BoT and CAL use 0.001, FastReID 0.01.
        bias: whether it has a bias, 0 at first; CAL's has one, BoT's has not.
    """
    classifier = nn.Linear(channels, classes, bias=bias)
    nn.init.normal_(classifier.weight, 0.0, std)
    if bias:
        nn.init.zeros_(classifier.bias)
    return classifier


class CosineClassifier(nn.Module):
    """Classifier whose logits are cosines in [-1, 1]; the loss scales them.

    Args:
        channels: length of the input vector.
        classes: number of identities or outfits.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, channels).normal_(0.0, 0.001))

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the cosines ``(B, classes)`` of vectors ``(B, channels)``."""
        return F.linear(F.normalize(vectors, dim=1), F.normalize(self.weight, dim=1))
