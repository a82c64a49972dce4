"""Between the pooled vector and the identity loss: batch-norm necks and the classifiers behind them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bn_neck(channels: int) -> nn.BatchNorm1d:
    """Return the BNNeck: batch norm whose bias stays 0 (Luo et al., CVPRW 2019, section 3.5)."""
    neck = nn.BatchNorm1d(channels)
    neck.bias.requires_grad_(False)  # noqa: FBT003
    return neck


def cal_neck(channels: int) -> nn.BatchNorm1d:
    """Return the neck of CAL (Gu et al., CVPR 2022): batch norm with both affine terms, weights drawn around 1."""
    neck = nn.BatchNorm1d(channels)
    nn.init.normal_(neck.weight, 1.0, 0.02)
    return neck


def projection(channels: int, out_channels: int) -> nn.Sequential:
    """Return a fully connected layer with batch norm and ReLU, the last one before OSNet's classifier (ICCV 2019)."""
    return nn.Sequential(nn.Linear(channels, out_channels), nn.BatchNorm1d(out_channels), nn.ReLU(inplace=True))


def linear_classifier(channels: int, classes: int, *, std: float = 0.001, bias: bool = False) -> nn.Linear:
    """Return a classifier with small random weights.

    Args:
        channels: length of the input vector.
        classes: number of identities or outfits.
        std: standard deviation of the initial weights; BoT and CAL use 0.001, FastReID 0.01.
        bias: whether it has a bias, 0 at first; CAL's has one, BoT's has not.
    """
    classifier = nn.Linear(channels, classes, bias=bias)
    nn.init.normal_(classifier.weight, 0.0, std)
    if bias:
        nn.init.zeros_(classifier.bias)
    return classifier


class CosineClassifier(nn.Module):
    """Classifier whose logits are cosines in [-1, 1]; the loss scales them.

    The length of a row does not change its logits, but it decides how fast Adam, whose first steps have one length in
    every entry, turns the row.

    Args:
        channels: length of the input vector.
        classes: number of identities or outfits.
        std: standard deviation of the initial weights; FastReID uses 0.01. ``None``: entries drawn uniformly from
            [-1, 1], then every row scaled to length 1, as in CAL and OC4-ReID.
    """

    def __init__(self, channels: int, classes: int, *, std: float | None = None) -> None:
        super().__init__()
        weight = torch.empty(classes, channels)
        weight = F.normalize(weight.uniform_(-1.0, 1.0), dim=1) if std is None else weight.normal_(0.0, std)
        self.weight = nn.Parameter(weight)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the cosines ``(B, classes)`` of vectors ``(B, channels)``."""
        return F.linear(F.normalize(vectors, dim=1), F.normalize(self.weight, dim=1))
