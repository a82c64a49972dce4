"""The vectors of training crops, as they are in the store: what a network in training has learnt so far."""

from __future__ import annotations

import numpy as np
import torch

from unveil.data.augment.pipeline import normalise
from unveil.data.training import TrainingSet
from unveil.methods.inference import embed_batches
from unveil.methods.method import Method
from unveil.recipe import InputSettings
from unveil.records import Embedding


def embed_training_crops(
    method: Method,
    data: TrainingSet,
    *,
    rows: np.ndarray,
    size: InputSettings,
    device: torch.device | str,
    flip: bool | None = None,
) -> Embedding:
    """Return the vectors of crops that are not augmented; the method is left in the mode it was in.

    Args:
        method: on ``device``.
        data: the training set.
        rows: ``(N,)`` rows of it, embedded as one batch.
        size: how crops are normalised.
        device: where the method is.
        flip: whether each crop is also seen mirrored; ``None`` follows the method.
    """
    crops = data.batch(rows, device)
    if method.requirements.test_parsing != data.parsing_scheme:  # maps of another label set mean nothing at test
        crops = crops.replace(parsing=None)
    return embed_batches(method, [normalise(crops, size)], flip=flip)
