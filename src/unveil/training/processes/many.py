"""Several processes, each with a device of its own, that share every batch: Lightning Fabric's DDP."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from unveil.errors import RecipeError
from unveil.methods.method import Method
from unveil.nn.global_batch import global_batch
from unveil.nn.synchronised_batch_norm import synchronise_batch_norms
from unveil.records import Batch
from unveil.training.processes.one import Made, OneProcess

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SILENT = "`broadcast_buffers` is deprecated"  # in favour of an argument that older versions of PyTorch lack


class ManyProcesses(OneProcess):
    """One of several processes, in which the same run goes the same way.

    All hold the same weights and draw the same random numbers. Each makes the whole batch, augments it, and takes its
    rows: the crops that are trained on are the same for any number of processes.
    """

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.rank, self.count = fabric.global_rank, fabric.world_size
        warnings.filterwarnings("ignore", message=f".*{SILENT}")

    def device(self, name: str) -> torch.device:
        """Return the device that the launcher gave this process."""
        return self.fabric.device

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the first process of every machine run a block before its others do."""
        with self.fabric.rank_zero_first(local=True):
            yield

    def as_leader(self, make: Callable[[], Made]) -> Made:
        """Return what the first process makes, which the others wait for and do not make."""
        return cast("Made", self.fabric.broadcast(make() if self.leads else None))

    def share(self, method: Method) -> Callable[..., dict[str, Tensor]]:
        """Return the method under DDP, its batch norms synchronised; auxiliary parameters step apart."""
        synchronise_batch_norms(method, self.fabric.device)
        auxiliary = [parameter for parameter in method.auxiliary_parameters() if parameter.requires_grad]
        for parameter in auxiliary:
            parameter.requires_grad = False  # DDP takes in what has gradients when it begins
        shared: Callable[..., dict[str, Tensor]] = self.fabric.strategy.setup_module(method)
        for parameter in auxiliary:
            parameter.requires_grad = True
        return shared

    def part(self, batch: Batch) -> Batch:
        """Return the rows of this process: of P processes the n-th has the n-th of P equal parts.

        Raises:
            RecipeError: there are no equal parts.
        """
        rows, left = divmod(len(batch), self.count)
        if left:
            raise RecipeError(
                f"a batch of {len(batch)} crops (sampler.persons x sampler.images) has no {self.count} equal parts: "
                "change one of the two, or --devices"
            )
        return batch.map(lambda tensor: tensor[self.rank * rows : (self.rank + 1) * rows])

    @contextmanager
    def accumulate(self, losses: Callable[..., dict[str, Tensor]], *, last: bool) -> Iterator[None]:
        """Add gradients within a block; DDP averages the sums of a step over processes, once."""
        assert isinstance(losses, DistributedDataParallel)
        with nullcontext() if last else losses.no_sync():
            yield

    @contextmanager
    def forward(self, *, seed: int, iteration: int, micro_batch: int, device: torch.device) -> Iterator[None]:
        """Compute losses within a block; what is drawn in it (dropout) differs between processes, and only there."""
        own = int(np.random.SeedSequence([seed, iteration, self.rank, micro_batch]).generate_state(1)[0])
        with torch.random.fork_rng([device] if device.type == "cuda" else []), global_batch():
            torch.manual_seed(own)
            yield

    def average(self, values: Tensor) -> Tensor:
        """Return the mean over processes."""
        mean = values.clone()
        distributed.all_reduce(mean)
        return mean / self.count

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set gradients to their mean over processes."""
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.copy_(self.average(parameter.grad))

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        """Return whether it holds in one of the processes."""
        return bool(self.average(torch.tensor(float(flag), device=self.fabric.device)) > 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.fabric.barrier()
