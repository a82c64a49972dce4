"""Activation checkpointing (Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174, section 4).

Going forward a block keeps its input alone; going backward it is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unveil.nn.backbones.backbone import Backbone
from unveil.nn.global_batch import global_batch, is_global


def checkpoint_activations(backbone: Backbone) -> None:
    """Checkpoint the blocks of a backbone that train, for good.

    Values, gradients and running statistics are those without it: random numbers are drawn again as they were, buffers
    move once, and feature hooks, which are called between blocks, are not called again. The keys of the state dict
    stay. A block in which nothing has a gradient is left alone.

    Raises:
        ValueError: the backbone has no blocks apart from its whole.
    """
    blocks = backbone.checkpointable()
    if not blocks:
        raise ValueError("its stages are not modules of their own")
    for block in blocks:
        if any(parameter.requires_grad for parameter in block.parameters()):
            block.forward = partial(_checkpointed, block, block.forward)


def _checkpointed(block: nn.Module, forward: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    tensors = [x for x in (*inputs, *named.values(), *block.parameters()) if isinstance(x, Tensor)]
    if not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)):
        return forward(*inputs, **named)
    first, shared = True, is_global()

    def run(*inputs: Any, **named: Any) -> Any:
        nonlocal first
        if first:
            first = False
            return forward(*inputs, **named)
        # Going backward is outside of the block in which batch norms see all processes.
        with _disposable_buffers(block), global_batch() if shared else nullcontext():
            return forward(*inputs, **named)

    return checkpoint(run, *inputs, use_reentrant=False, **named)


@contextmanager
def _disposable_buffers(module: nn.Module) -> Iterator[None]:
    """Let a module write to copies of its buffers within a block: running statistics must not see a batch twice."""
    kept = [
        (part, name, buffer)
        for part in module.modules()
        if part.training
        for name, buffer in part.named_buffers(recurse=False)
    ]
    for part, name, buffer in kept:
        setattr(part, name, buffer.clone())
    try:
        yield
    finally:
        for part, name, buffer in kept:
            setattr(part, name, buffer)
