"""The batch of all processes that train together: what compares crops with each other sees the whole of it.

Outside `global_batch`, and on one device, nothing here does anything. Inside, every process minimises its own loss over
rows of all processes, and the average of the gradients is that of the whole batch: a gathered row gets back what all
processes would change in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed

_active = False


@contextmanager
def global_batch() -> Iterator[None]:
    """Let losses and batch norms see the batches of all processes of the default group within a block.

    Every process must be in it, and must call the same losses in the same order.
    """
    global _active
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


def is_global() -> bool:
    """Whether this is inside `global_batch`."""
    return _active


def gather(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Return the rows of all processes, in the order of the processes, with gradients; else the tensors themselves.

    Args:
        tensors: each ``(N, ...)``; N may differ between processes, and all else may not. What is shorter than single
            precision comes back in single precision.
    """
    if not _active:
        return tensors
    rows = all_gather(torch.tensor([len(tensors[0])], device=tensors[0].device)).flatten().tolist()
    return tuple(_gather_rows(tensor, rows) for tensor in tensors)


def mean_of_all(total: Tensor, count: int) -> Tensor:
    """Return a sum over ``count`` rows, of which processes may have more or fewer, by the mean number of rows.

    The mean of these over processes is the mean over all rows.
    """
    if not _active:
        return total / count
    rows = torch.tensor(float(count), dtype=total.dtype, device=total.device)
    distributed.all_reduce(rows)
    return total * distributed.get_world_size() / rows


def all_gather(tensor: Tensor) -> Tensor:
    """Return a tensor of one shape ``(...)`` in all processes as ``(P, ...)``, with gradients."""
    gathered: Tensor = _AllGather.apply(tensor)
    return gathered


def _gather_rows(tensor: Tensor, rows: list[int]) -> Tensor:
    if tensor.is_floating_point():
        tensor = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    longest = max(rows)
    if len(tensor) < longest:
        tensor = torch.cat([tensor, tensor.new_zeros(longest - len(tensor), *tensor.shape[1:])])
    every = all_gather(tensor)
    if min(rows) == longest:
        return every.flatten(0, 1)
    return torch.cat([one[:count] for one, count in zip(every, rows, strict=True)])


class _AllGather(torch.autograd.Function):
    """PyTorch has deprecated its own; this one needs nothing that gloo lacks."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor) -> Tensor:
        every = tensor.new_empty(distributed.get_world_size(), *tensor.shape)
        distributed.all_gather(list(every.unbind()), tensor.contiguous())
        return every

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient[distributed.get_rank()]
