"""Batch norms whose statistics are those of the batches of all processes: PyTorch has them for GPUs alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unveil.errors import RecipeError
from unveil.nn.global_batch import all_gather, is_global

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d)


class SynchronisedBatchNorm(_BatchNorm):
    """A batch norm over ``(N, C)`` or ``(N, C, ...)``; N may differ between processes and be 0 in some.

    In `global_batch` and in training mode the statistics are those of all processes, else it is PyTorch's.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised input, of its shape and precision."""
        if not (self.training and is_global()):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._normalise(x.to(torch.promote_types(x.dtype, torch.float32))).to(x.dtype)

    def _normalise(self, x: Tensor) -> Tensor:
        over = [0, *range(2, x.ndim)]
        count = x.numel() // x.shape[1]
        if count:
            variance, mean = torch.var_mean(x, over, correction=0)
        else:  # zeros that still depend on x: going backward, every process must take part
            variance = mean = x.sum(over)
        means, variances, counts = all_gather(torch.cat([mean, variance, mean.new_tensor([count])])).split(
            [len(mean), len(mean), 1], dim=1
        )
        total = counts.sum()
        share = counts / total
        mean = (share * means).sum(0)
        variance = (share * (variances + (means - mean).square())).sum(0)
        self._track(mean.detach(), variance.detach() * total / (total - 1))
        scale = (variance + self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias
        shape = [1, -1, *[1] * (x.ndim - 2)]
        return x * scale.view(shape) + shift.view(shape)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take any number of dimensions."""


def synchronise_batch_norms(module: nn.Module, device: torch.device) -> None:
    """Make all batch norms of a module synchronised ones, PyTorch's on GPUs; parameters and buffers stay the same.

    Raises:
        RecipeError: one is of another kind, as some of timm's backbones have.
    """
    norms = {name: part for name, part in module.named_modules() if isinstance(part, _BatchNorm)}
    for name, norm in norms.items():
        if type(norm) not in PLAIN:
            raise RecipeError(
                f"{name} is a {type(norm).__name__}, whose statistics cannot be those of several devices: train this "
                "backbone on one, without --devices"
            )
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return
    for norm in norms.values():
        norm.__class__ = SynchronisedBatchNorm  # in its place: methods may hold it under more than one name
