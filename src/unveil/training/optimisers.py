"""The main optimiser and the one of a method's auxiliary parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unveil.methods.method import Method
from unveil.nn.backbones.backbone import Backbone
from unveil.recipe import OptimSettings


def build_optimiser(method: Method, settings: OptimSettings) -> Optimizer:
    """Return the optimiser of everything but the auxiliary parameters; weight decay spares what the method names."""
    apart = {id(p) for p in (*method.auxiliary_parameters(), *method.no_weight_decay())}
    auxiliary = {id(p) for p in method.auxiliary_parameters()}
    trained = [p for p in method.parameters() if p.requires_grad and id(p) not in apart]
    groups = [
        {"params": trained, "weight_decay": settings.weight_decay},
        {"params": [p for p in method.no_weight_decay() if id(p) not in auxiliary], "weight_decay": 0.0},
    ]
    return _optimiser([group for group in groups if group["params"]], settings)


def build_auxiliary_optimiser(method: Method, settings: OptimSettings) -> Optimizer | None:
    """Return the optimiser of the auxiliary parameters, whose rate never decays, or ``None`` when there are none."""
    auxiliary = method.auxiliary_parameters()
    return _optimiser([{"params": auxiliary, "weight_decay": settings.weight_decay}], settings) if auxiliary else None


def auxiliary_update(
    optimiser: Optimizer | None,
    *,
    average: Callable[[Iterable[nn.Parameter]], None] = lambda parameters: None,
    micro_batches: int = 1,
) -> Callable[[Tensor], None]:
    """Return the function that a method calls with a loss of its auxiliary parameters, for one step of training.

    Args:
        optimiser: of these parameters.
        average: sets their gradients to the mean over processes that train together.
        micro_batches: calls that make one step of the optimiser, on the mean of their gradients: like the main one it
            steps once, and losses against the stepped parameters are those of the last micro-batch.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]] if optimiser else []
    # Apart from `grad`, to which losses of the main optimiser may add between two calls.
    found: list[tuple[Tensor | None, ...]] = []

    def update(loss: Tensor) -> None:
        if optimiser is None:
            raise ValueError("the method updates auxiliary parameters but names none in auxiliary_parameters()")
        found.append(torch.autograd.grad(loss / micro_batches, parameters, allow_unused=True))
        if len(found) < micro_batches:
            return
        for parameter, gradients in zip(parameters, zip(*found, strict=True), strict=True):
            there = [gradient for gradient in gradients if gradient is not None]
            parameter.grad = torch.stack(there).sum(0) if there else None
        found.clear()
        average(parameters)
        optimiser.step()

    return update


def set_frozen(modules: Iterable[nn.Module], *, frozen: bool) -> None:
    """Freeze or release modules: their parameters, and the running statistics of their batch norms.

    Frozen modules are in evaluation mode, as FastReID has them; released ones in training mode. Stages that a backbone
    keeps frozen for good stay so.
    """
    for module in modules:
        module.train(not frozen)
        kept = {
            id(parameter)
            for part in module.modules()
            if isinstance(part, Backbone)
            for name in part.frozen
            for parameter in part.get_submodule(name).parameters()
        }
        for parameter in module.parameters():
            parameter.requires_grad_(not frozen and id(parameter) not in kept)


def _optimiser(groups: list[dict[str, object]], settings: OptimSettings) -> Optimizer:
    # One pass over the memory of all parameters instead of one an operation.
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, fused=True)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.lr, fused=True)
