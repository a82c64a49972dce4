"""The classification form of the circle loss (Sun et al., CVPR 2020) in FastReID's SBS baseline."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def circle_softmax(cosines: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35) -> Tensor:
    """Return the logits whose cross-entropy is the circle loss.

    Args:
        cosines: ``(B, K)`` in [-1, 1].
        labels: ``(B,)`` in ``[0, K)``.
        scale: factor on the logits.
        margin: relaxation m; optima are 1 + m and -m, boundaries 1 - m and m.

    Returns:
        ``(B, K)``, for a cross-entropy with or without label smoothing.
    """
    weight_own = F.relu(1 + margin - cosines.detach())  # alpha_p: the farther from the optimum, the faster
    weight_other = F.relu(cosines.detach() + margin)  # alpha_n
    own = scale * weight_own * (cosines - (1 - margin))
    other = scale * weight_other * (cosines - margin)
    classes = torch.arange(cosines.shape[1], device=labels.device)
    return torch.where(labels[:, None] == classes, own, other)
