"""Stage 1: the batch norms of each camera taken anew from its own crops (Li et al., Pattern Recognition 2018).

What the network was trained with keeps a share: statistics of a few hundred crops alone cost more than they bring
(Schneider et al., Improving robustness against common corruptions by covariate shift adaptation, NeurIPS 2020, eq. 1).
"""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import torch
from torch import Tensor

from unveil.adaptation.crops import UnlabelledCrops
from unveil.methods.method import Method
from unveil.models.camera_statistics import CameraStatistics, batch_norms, read_statistics, write_statistics
from unveil.progress import track
from unveil.recipe import InputSettings

log = logging.getLogger(__name__)
BATCH = 64
# A mean over so many crops errs by a few hundredths of a standard deviation; more take time and change nothing.
MAX_TOGETHER, MAX_OF_CAMERA = 512, 256
MIN_CROPS = 16  # crops in a batch whose variance means something


def take_statistics(
    method: Method,
    crops: UnlabelledCrops,
    *,
    size: InputSettings,
    prior: int,
    share: float,
    seed: int,
    before: tuple[Tensor, Tensor] | None = None,
    by_camera: bool = True,
    quick: bool = False,
) -> CameraStatistics:
    """Give a method the statistics of all crops together beside its own, and return those of each camera.

    A camera's are drawn towards those of all cameras as if ``prior`` crops had shown these: one with five crops has
    hardly statistics of its own.

    Args:
        method: any method with batch norms; only their running statistics change.
        crops: of all cameras.
        size: the model's input.
        prior: crops.
        share: of the statistics of the crops in those that the method gets, in [0, 1].
        seed: which crops meet in a batch.
        before: means and variances that keep the rest, ``(S,)`` each; the method's own by default.
        by_camera: whether those of each camera are measured too; without, none are returned.
        quick: measure on half as many crops.
    """
    divisor = 2 if quick else 1
    rng = np.random.default_rng([seed, 1])
    together = _measured(
        method,
        crops,
        order=rng.permutation(len(crops))[: MAX_TOGETHER // divisor],
        size=size,
        what="statistics of all cameras",
    )
    own = before or read_statistics(method)
    together = own[0].lerp(together[0], share), own[1].lerp(together[1], share)
    means, variances = [], []
    cameras = crops.known_cameras if by_camera else ()
    for camera in cameras:
        crops_of = np.array([i for i, label in enumerate(crops.cameras) if label == camera])
        weight = len(crops_of) / (len(crops_of) + prior) if len(crops_of) >= MIN_CROPS else 0.0
        if weight:
            drawn = rng.permutation(crops_of)[: MAX_OF_CAMERA // divisor]
            mean, variance = _measured(method, crops, order=drawn, size=size, what=f"statistics of camera {camera}")
            mean, variance = own[0].lerp(mean, share), own[1].lerp(variance, share)
        else:
            log.warning(
                "camera %s has %d crops, fewer than %d: it keeps those of all", camera, len(crops_of), MIN_CROPS
            )
            mean, variance = together
        means.append(together[0].lerp(mean, weight))
        variances.append(together[1].lerp(variance, weight))
    write_statistics(method, together[0], variance=together[1])
    empty = together[0].new_empty(0, len(together[0]))
    return CameraStatistics(
        cameras,
        torch.stack(means) if means else empty,
        torch.stack(variances) if variances else empty,
    )


def measured_crops(crops: UnlabelledCrops, *, by_camera: bool = True) -> int:
    """Return how many crops `take_statistics` looks at."""
    counts = Counter(camera for camera in crops.cameras if camera is not None) if by_camera else Counter[str]()
    of_cameras = (min(n, MAX_OF_CAMERA) for n in counts.values() if n >= MIN_CROPS)
    return min(len(crops), MAX_TOGETHER) + sum(of_cameras)


@torch.no_grad()
def _measured(
    method: Method, crops: UnlabelledCrops, *, order: np.ndarray, size: InputSettings, what: str
) -> tuple[Tensor, Tensor]:
    """Return the means of the statistics of batches ``(S,)``; the method is left as it was."""
    norms = batch_norms(method)
    before = read_statistics(method)
    kept = [(norm.training, norm.momentum) for norm in norms]
    training = method.training
    method.eval()
    device = next(method.parameters()).device
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # the mean over all batches
        for rows in track(_batches(order), f"{what}, {len(order)} crops"):
            method.embed(crops.batch(rows, size, device=device))
        found = read_statistics(method)
        return found[0].clone(), found[1].clone()
    finally:
        method.train(training)
        for norm, (mode, momentum) in zip(norms, kept, strict=True):
            norm.training, norm.momentum = mode, momentum
        write_statistics(method, before[0], variance=before[1])


def _batches(order: np.ndarray) -> list[np.ndarray]:
    """Cut into batches of nearly one size, so that none is too small for a variance."""
    return np.array_split(order, max(1, round(len(order) / BATCH)))
