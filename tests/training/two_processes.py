"""Training in double precision, in one process or in several, for tests in which rounding must not count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from torch import Tensor

from unveil.methods.method import Method
from unveil.nn.backbones.backbone import Backbone
from unveil.recipe import Recipe
from unveil.records import Batch
from unveil.training.loop import train_with
from unveil.training.processes.many import ManyProcesses
from unveil.training.processes.one import OneProcess


class _Double:
    """Networks and images in double precision: small random networks turn rounding into other gradients."""

    def share(self, method: Method) -> Callable[..., dict[str, Tensor]]:
        for part in method.modules():
            if isinstance(part, Backbone):  # which is also asked for single precision, when a run looks for NaN
                part.register_forward_pre_hook(lambda module, inputs: (inputs[0].double(), *inputs[1:]))
        return super().share(method.double())

    def part(self, batch: Batch) -> Batch:
        return super().part(batch.replace(images=batch.images.double()))


class OneDouble(_Double, OneProcess):
    pass


class ManyDouble(_Double, ManyProcesses):
    pass


def train_all(processes: OneProcess, runs: Iterable[tuple[Recipe, Path]], cache: Path) -> None:
    """Train recipes one after the other in double precision; a run that is there is resumed."""
    double = ManyDouble(processes.fabric) if isinstance(processes, ManyProcesses) else OneDouble()
    for recipe, out in runs:
        train_with(double, recipe, out=out, cache=cache, resume=out.exists())
