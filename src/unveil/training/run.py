"""Everything that moves during training."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer

from unveil.data.training import TrainingSet
from unveil.methods.method import Method
from unveil.models.card import Start
from unveil.recipe import Recipe
from unveil.training.average import WeightAverage
from unveil.training.divergence import check_embedding
from unveil.training.processes.one import OneProcess
from unveil.training.resuming import Identity
from unveil.training.state import TrainState, load_state, save_state


@dataclass
class Run:
    """A run: ``losses`` is the method, or what shares it with other processes."""

    recipe: Recipe
    out: Path
    cache: Path | None
    data: TrainingSet
    method: Method
    losses: Callable[..., dict[str, Tensor]]
    optimiser: Optimizer
    auxiliary: Optimizer | None
    generator: torch.Generator
    device: torch.device
    average: WeightAverage | None
    start: Start
    processes: OneProcess
    state: TrainState = field(default_factory=TrainState)

    @property
    def optimisers(self) -> list[Optimizer]:
        """The main optimiser and, where the method has one, the auxiliary one."""
        return [self.optimiser, *([self.auxiliary] if self.auxiliary else [])]

    @property
    def identity(self) -> Identity:
        """Recipe and data: a saved state belongs to these."""
        return Identity.of(self.recipe, self.data.content_hash)

    def weights_to_keep(self) -> AbstractContextManager[None]:
        """Let the method have the average of its weights, where there is one, within a block."""
        return self.average.applied(self.method) if self.average else nullcontext()

    def save(self) -> None:
        """Write the state; one process does it for all.

        Raises:
            TrainingError: the training diverged; the state that is there stays.
        """
        if self.processes.leads:
            with self.weights_to_keep():
                check_embedding(
                    self.method, self.data, size=self.recipe.input, epochs=self.state.epoch, device=self.device
                )
            save_state(
                self.out,
                self.method,
                optimisers=self.optimisers,
                generator=self.generator,
                train_state=self.state,
                identity=self.identity,
                average=self.average,
            )

    def load(self) -> tuple[str, ...]:
        """Restore the state in every process; return the keys of the recipe that differ and may."""
        self.state, changed = load_state(
            self.out,
            self.method,
            optimisers=self.optimisers,
            generator=self.generator,
            identity=self.identity,
            average=self.average,
        )
        return changed
