"""How long an adaptation takes and how much memory it needs, from one batch that is tried before it begins."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages.statistics import measured_crops
from unveil.evaluation.rerank import RerankSettings, rerank_memory
from unveil.methods.method import Method
from unveil.models.checkpoint import TrainedModel
from unveil.records import Batch

FLOAT = 4  # bytes
GROUPING_SECONDS = 1e-3  # for each unit, measured on 2,000 of them
COPIES = {False: 2, True: 7}  # with training; of the weights: before, after; gradient, two moments, teacher, its loan


@dataclass(frozen=True)
class Estimate:
    """Seconds, and bytes of memory beyond the program's own."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        minutes = self.seconds / 60
        lasts = f"{self.seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min"
        return f"about {lasts} and {self.bytes / 2**30:.1f} GiB of memory"


def estimate(model: TrainedModel, learnt: UnlabelledCrops, *, settings: AdaptSettings, tested: int = 0) -> Estimate:
    """Try one batch forward and, where there is training, backward, and count how many there are to come.

    Args:
        model: it is not changed.
        learnt: the crops to learn from.
        settings: see there.
        tested: crops of the tracklets to evaluate on.
    """
    trains = settings.trains
    step = min(settings.persons * settings.images, len(learnt))
    method = copy.deepcopy(model.method)
    batch = learnt.batch(np.arange(step), model.input, device=model.device)
    with torch.no_grad():
        method.eval()
        began = time.perf_counter()
        vectors, outputs = _embed_counting(method, batch)
        forward = (time.perf_counter() - began) / step
    numbers = vectors.shape[1] * vectors.shape[2]
    activations = FLOAT * outputs
    backward = 0.0
    if trains:
        method.train()
        began = time.perf_counter()
        method.embed(batch).vectors.square().sum().backward()
        backward = (time.perf_counter() - began) / step
    seen = 4 * tested  # before and after, mirrored
    if trains or "statistics" in settings.stages:
        seen += measured_crops(learnt, by_camera="statistics" in settings.stages)
    if "whitening" in settings.stages:
        seen += 2 * len(learnt)
    if trains:
        seen += settings.epochs * (measured_crops(learnt) // 2 + len(learnt))
    units = len(np.unique(learnt.units))
    seconds = seen * forward
    memory = COPIES[trains] * _bytes(method) + FLOAT * numbers * len(learnt)
    if trains:
        seconds += settings.epochs * (len(learnt) * backward + units * GROUPING_SECONDS)
        neighbours = min(settings.neighbours, max(units - 1, 1))
        rerank = RerankSettings(k1=neighbours, k2=min(6, neighbours + 1))
        memory += max(activations, rerank_memory(units, 0, numbers=numbers, settings=rerank))
    return Estimate(seconds, memory + (0 if trains else activations // 4))


def _embed_counting(method: Method, batch: Batch) -> tuple[Tensor, int]:
    """Return the vectors of a batch, and how many numbers all layers put out on the way: training keeps them."""
    sizes: list[int] = []

    def note(_: nn.Module, *inputs_and_output: object) -> None:
        if isinstance(inputs_and_output[-1], Tensor):
            sizes.append(inputs_and_output[-1].numel())

    handles = [m.register_forward_hook(note) for m in method.modules() if not list(m.children())]
    try:
        vectors = method.embed(batch).vectors
        return vectors, sum(sizes)
    finally:
        for handle in handles:
            handle.remove()


def _bytes(method: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in method.state_dict().values())
