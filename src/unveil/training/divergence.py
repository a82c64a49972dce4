"""Training that diverged is stopped where it shows: in a loss, in a gradient, or in what the model answers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from unveil.data.training import TrainingSet
from unveil.errors import TrainingError
from unveil.methods.method import Method
from unveil.models.training_crops import embed_training_crops
from unveil.recipe import InputSettings

CROPS = 8
ADVICE = (
    "the last checkpoint is intact; a lower optim.lr, optim.clip_norm or train.precision=fp32 needs a new run, with "
    "another --out, and with backbone.init=RUN if it is to start from this one's backbone"
)


def check_finite(values: Mapping[str, float], terms: Mapping[str, float], *, epoch: int, iteration: int) -> None:
    """Refuse a loss or a gradient that is not finite.

    Args:
        values: what is checked, by name.
        terms: losses to show beside it.
        epoch: from 0.
        iteration: from 0.

    Raises:
        TrainingError: one of ``values`` is NaN or infinite.
    """
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        found = ", ".join(f"{name} = {term:.4g}" for name, term in terms.items())
        raise TrainingError(
            f"not finite in epoch {epoch + 1}, iteration {iteration}: {', '.join(bad)} (terms: {found}); {ADVICE}"
        )


def check_embedding(
    method: Method, data: TrainingSet, *, size: InputSettings, epochs: int, device: torch.device | str
) -> None:
    """Embed a few training crops, so that a model that answers with NaN is never kept.

    Losses may stay finite while the running statistics of the batch normalisation, which count at test only, do not.

    Raises:
        TrainingError: a vector is not finite after so many ``epochs``.
    """
    rows = np.arange(min(len(data), CROPS))
    if not embed_training_crops(method, data, rows=rows, size=size, device=device).is_finite:
        raise TrainingError(
            f"training diverged: after epoch {epochs} the model embeds crops as NaN or infinity; {ADVICE}"
        )
