"""A running average of the weights (Polyak and Juditsky, 1992), which generalises better than the last step's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

WARM_UP = 10  # the first averages follow the weights closely


class WeightAverage:
    """Exponential average of all parameters and buffers of a module.

    Args:
        module: what is averaged; the average begins as its state.
        decay: share of the old average in the new one, in [0, 1); smaller in the first steps.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, iteration: int) -> None:
        """Move the average towards the weights after an iteration (0-based)."""
        share = 1 - min(self.decay, (1 + iteration) / (WARM_UP + iteration))
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                self.state[name].lerp_(tensor, share)
            else:
                self.state[name].copy_(tensor)

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Let a module have the averaged weights within a block; its own come back after it."""
        own: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.state)
        try:
            yield
        finally:
            module.load_state_dict(own)
