"""How much of a part shows, told without hedging: a network that learns probabilities never says 0 or 1.

Its share is what it expects: 0.94 where the whole head shows, because one head in ten is occluded. What people ask is
the likeliest share, so after the training each logit is scaled and moved to make the mean absolute error smallest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from unveil.nn.parsing_network import ParsingNet

BATCH = 16
STEPS, RATE = 800, 0.05
SURE = 1e-4  # shares are held this far from 0 and 1


@torch.inference_mode()
def shares_told(
    network: ParsingNet, images: Sequence[NDArray[np.uint8]], *, size: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the shares ``(N, S)`` float32 that a network tells of crops.

    Args:
        network: in evaluation mode.
        images: crops ``(h, w, 3)`` RGB of any sizes.
        size: height and width of its input.
    """
    found = []
    for first in range(0, len(images), BATCH):
        pixels = [torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in images[first : first + BATCH]]
        batch = torch.cat([F.interpolate(one, size, mode="bilinear", antialias=True) for one in pixels])
        found.append(network(batch.div_(127.5).sub_(1))[2].sigmoid())
    told: NDArray[np.float32] = torch.cat(found).numpy()
    return told


def fit_shares(told: NDArray[np.floating], truth: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    """Return what to multiply the logits of the shares by, and what to add then, both ``(S,)`` float32.

    Args:
        told: ``(N, S)`` shares in [0, 1] that the network tells.
        truth: ``(N, S)`` true shares, NaN where a part is not known.
    """
    logits = torch.logit(torch.from_numpy(told).double().clamp(SURE, 1 - SURE))
    true = torch.from_numpy(truth).double()
    known = torch.isfinite(true)
    # In logarithms the scale stays above 0: more of a part is never told as less.
    scale, offset = (torch.zeros(told.shape[1], dtype=torch.double, requires_grad=True) for _ in range(2))
    optimiser = torch.optim.Adam([scale, offset], RATE)
    for _ in range(STEPS):
        error = (torch.sigmoid(scale.exp() * logits + offset) - true).abs()[known].mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    return scale.detach().exp().float(), offset.detach().float()


@torch.no_grad()
def calibrate_shares(network: ParsingNet, scale: Tensor, *, offset: Tensor) -> None:
    """Let a network tell ``sigmoid(scale * logit + offset)`` in place of ``sigmoid(logit)``: its last layer changes.

    Args:
        network: whose shares are told by the first ``S`` rows of the last layer of `ParsingNet.visible`.
        scale: ``(S,)``, above 0.
        offset: ``(S,)``.
    """
    last = network.visible[-1]
    assert isinstance(last, nn.Linear)
    count = len(scale)
    last.weight[:count] *= scale[:, None]
    last.bias[:count] = last.bias[:count] * scale + offset
