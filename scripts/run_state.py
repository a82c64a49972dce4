"""The state of a training by one of the scripts here, and the average of its weights; each run is of one settings."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from unveil.atomic_io import atomic_path
from unveil.errors import UnveilError


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and statistics a little towards the network's."""
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def state_file(run: Path) -> Path:
    """Return where the state of a run is kept."""
    return run / "state.pt"


def averaged_weights(run: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a run, which `save` was given second."""
    weights: dict[str, Tensor] = torch.load(state_file(run), weights_only=True)["parts"][1]
    return weights


def save(run: Path, settings: object, step: int, *parts: nn.Module | torch.optim.Optimizer) -> None:
    """Write the state of a run."""
    state = {"settings": repr(settings), "step": step, "parts": [part.state_dict() for part in parts]}
    with atomic_path(state_file(run)) as temporary:
        torch.save(state, temporary)


def restore(run: Path, settings: object, *parts: nn.Module | torch.optim.Optimizer) -> int:
    """Load the state of a run, if there is one; return the step to resume at."""
    if not state_file(run).is_file():
        return 0
    state = torch.load(state_file(run), weights_only=True)
    if state["settings"] != repr(settings):
        raise UnveilError(f"{run} holds a run of {state['settings']}, not of {settings}; choose another --run")
    for part, values in zip(parts, state["parts"], strict=True):
        part.load_state_dict(values)
    return int(state["step"])
