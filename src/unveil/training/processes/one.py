"""What training asks of the processes that share it, answered for one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from unveil.methods.method import Method
from unveil.models.device import pick_device
from unveil.records import Batch

Made = TypeVar("Made")


class OneProcess:
    """A run on one device. Several answer the same questions in `unveil.training.processes.many`.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank = 0
    count = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes, logs and evaluates for all."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Return the device of this process, of the kind that ``train.device`` names."""
        return pick_device(name)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let the first process of every machine run a block before its others do: what it fetches is there then."""
        yield

    def as_leader(self, make: Callable[[], Made]) -> Made:
        """Return what the first process makes, which the others wait for and do not make."""
        return make()

    def share(self, method: Method) -> Callable[..., dict[str, Tensor]]:
        """Return what computes the losses of a method, so that gradients become those of the whole batch."""
        return method

    def part(self, batch: Batch) -> Batch:
        """Return the rows of a batch that are this process's."""
        return batch

    @contextmanager
    def accumulate(self, losses: Callable[..., dict[str, Tensor]], *, last: bool) -> Iterator[None]:
        """Add the gradients of a micro-batch within a block.

        Args:
            losses: what `share` returned.
            last: whether it is the last micro-batch of a step, behind which all processes hold the same gradients.
        """
        yield

    @contextmanager
    def forward(self, *, seed: int, iteration: int, micro_batch: int, device: torch.device) -> Iterator[None]:
        """Compute the losses of a micro-batch within a block."""
        yield

    def average(self, values: Tensor) -> Tensor:
        """Return the mean over processes."""
        return values

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Set the gradients of parameters that `share` knows nothing of to their mean over processes."""

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        """Return whether it holds in one of the processes."""
        return flag

    def wait(self) -> None:
        """Wait until all processes are here."""
