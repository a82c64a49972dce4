"""Cross-entropy with the two kinds of label smoothing that the field uses."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from unveil.nn.global_batch import is_global, mean_of_all


def cross_entropy(
    logits: Tensor, labels: Tensor, *, smoothing: float = 0.0, spread: Literal["all", "others"] = "all"
) -> Tensor:
    """Return the label-smoothed cross-entropy (Szegedy et al., CVPR 2016, section 7), mean over the batch.

    Args:
        logits: ``(B, K)``.
        labels: ``(B,)`` in ``[0, K)``.
        smoothing: probability eps that is taken from the label, in [0, 1).
        spread: who shares eps: "all" K classes (BoT, CAL), or the K - 1 "others" (FastReID).
    """
    classes = logits.shape[1]
    if spread == "others":
        # Taking eps K / (K - 1) and giving every class its share leaves 1 - eps at the label, eps / (K - 1) elsewhere.
        smoothing = smoothing * classes / max(classes - 1, 1)
    if not is_global():
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    # Some methods classify only part of their crops, and one process then has more of them than another.
    total = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
    return mean_of_all(total, len(labels))
