"""Part attention loss of PAB-ReID (eq. 3-4): the predicted part maps against a human-parsing map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def labels_on_map(parsing: Tensor, maps: int, *, size: tuple[int, int]) -> Tensor:
    """Return the label of every position of a smaller map: the largest of the labels' maps, resized bilinearly.

    The maps are sampled at the positions and not averaged over them (corners aligned, no antialiasing), as in BPBReID:
    a limb that is half as wide as a cell survives in some cells, and never would by the larger area.

    Args:
        parsing: ``(B, H, W)`` labels in ``[0, maps)``.
        maps: number of labels, background (0) included.
        size: height and width of the map.

    Returns:
        ``(B, h, w)`` int64; on a tie the lowest label.

    Raises:
        ValueError: a label is outside the label space.
    """
    if int(parsing.max()) >= maps:
        raise ValueError(f"parsing: expected labels below {maps}, got {int(parsing.max())}")
    classes = torch.arange(maps, device=parsing.device)[:, None, None]
    masks = (parsing[:, None] == classes).to(torch.float32)
    return F.interpolate(masks, size, mode="bilinear", align_corners=True).argmax(dim=1)


def part_attention_loss(log_maps: Tensor, labels: Tensor, *, smoothing: float = 0.1) -> Tensor:
    """Return the label-smoothed pixel-wise cross-entropy, mean over batch and positions.

    In the paper the two cases of eq. 3 are swapped, theta is lost and N is called the batch size; only with N = number
    of maps do the targets sum to 1.

    Args:
        log_maps: ``(B, N, h, w)`` logarithms of maps that sum to 1 (any logits do).
        labels: ``(B, h, w)`` in ``[0, N)``.
        smoothing: theta, in [0, 1).
    """
    # eq. 3: 1 - theta (N - 1) / N at the label, theta / N elsewhere; eq. 4: its cross-entropy with the maps.
    return F.cross_entropy(log_maps, labels, label_smoothing=smoothing)
