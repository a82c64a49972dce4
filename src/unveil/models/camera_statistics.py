"""What an adapted model knows of each camera, kept beside its weights: normalisation statistics and mean vectors.

A camera's light, colours and lens shift what every batch norm of a network sees. With the statistics of the camera that
took a crop the shift is gone (Li et al., AdaBN, Pattern Recognition 2018); a crop of no known camera is embedded with
those of all cameras together, which are the weights' own. A camera's mean vector is what its whitening takes away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from unveil.errors import CheckpointError
from unveil.nn.projections.whitening import Whitening

MEAN, VARIANCE = "camera_statistics.mean", "camera_statistics.variance"
CENTRES = "camera_statistics.centres"
KEYS = (MEAN, VARIANCE, CENTRES)


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a network that keep statistics, in the order of its modules."""
    return [m for m in network.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


def whitening_of(network: nn.Module) -> Whitening | None:
    """Return the whitening of a network's vectors; ``None`` where it has none."""
    return next((module for module in network.modules() if isinstance(module, Whitening)), None)


@dataclass(frozen=True)
class CameraStatistics:
    """Means and variances of all batch norms of a network, one row for each camera.

    Args:
        cameras: labels, each once.
        mean: ``(C, S)`` float32, the channels of all batch norms one after the other.
        variance: ``(C, S)`` float32, positive.
        centres: ``(C, E, D)`` float32 mean vectors, of a network with a whitening.
    """

    cameras: tuple[str, ...]
    mean: Tensor
    variance: Tensor
    centres: Tensor | None = None

    @classmethod
    def of(
        cls, cameras: tuple[str, ...], tensors: Mapping[str, Tensor], *, network: nn.Module, source: str
    ) -> CameraStatistics:
        """Return what a file of weights holds for the cameras that its card names.

        Raises:
            CheckpointError: it does not fit the cameras or the network.
        """
        width = sum(norm.num_features for norm in batch_norms(network))
        for key in (MEAN, VARIANCE):
            shape = tuple(tensors[key].shape) if key in tensors else None
            if shape != (len(cameras), width):
                raise CheckpointError(
                    f"{source} is damaged: {key} is {shape or 'missing'}, expected {(len(cameras), width)}"
                )
        whitening = whitening_of(network)
        centres = tensors.get(CENTRES)
        if whitening is not None and (centres is None or centres.shape != (len(cameras), *whitening.centre.shape)):
            raise CheckpointError(f"{source} is damaged: {CENTRES} does not fit its whitening")
        return cls(
            cameras, tensors[MEAN].float(), tensors[VARIANCE].float(), None if centres is None else centres.float()
        )

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What goes into the file of weights."""
        found = {MEAN: self.mean, VARIANCE: self.variance}
        return found if self.centres is None else found | {CENTRES: self.centres}

    @contextmanager
    def of_camera(self, network: nn.Module, camera: str | None) -> Iterator[None]:
        """Let a network have the statistics of a camera within a block; nothing changes for an unknown one."""
        if camera not in self.cameras:
            yield
            return
        row = self.cameras.index(camera)
        own = [(norm.running_mean, norm.running_var) for norm in batch_norms(network)]
        write_statistics(network, self.mean[row], variance=self.variance[row])
        whitening = whitening_of(network)
        pooled = None if whitening is None else whitening.centre
        if whitening is not None and self.centres is not None:
            whitening.centre = self.centres[row].to(whitening.centre.device)
        try:
            yield
        finally:
            if whitening is not None and pooled is not None:
                whitening.centre = pooled
            for norm, (mean, variance) in zip(batch_norms(network), own, strict=True):
                norm.running_mean, norm.running_var = mean, variance


def read_statistics(network: nn.Module) -> tuple[Tensor, Tensor]:
    """Return the running means and variances of a network, ``(S,)`` each, on the CPU."""
    pairs = [(norm.running_mean, norm.running_var) for norm in batch_norms(network)]
    means, variances = zip(*pairs, strict=True)
    return torch.cat(means).cpu(), torch.cat(variances).cpu()


def write_statistics(network: nn.Module, mean: Tensor, *, variance: Tensor) -> None:
    """Give a network running means and variances ``(S,)`` in place of its own, whose tensors are left as they are."""
    start = 0
    for norm in batch_norms(network):
        stop = start + norm.num_features
        device = norm.weight.device if norm.weight is not None else mean.device
        norm.running_mean = mean[start:stop].clone().to(device)
        norm.running_var = variance[start:stop].clone().to(device)
        start = stop
