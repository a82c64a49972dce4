"""What a run needs to go on exactly where it stopped: weights, optimisers, random states, and its place."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from unveil.atomic_io import atomic_path
from unveil.errors import CheckpointError, UnveilError
from unveil.methods.method import Method
from unveil.models.checkpoint import NAME as MODEL
from unveil.models.checkpoint import load_weights_exactly
from unveil.training.average import WeightAverage
from unveil.training.resuming import Identity, check_same_run

NAME = "resume.pt"


@dataclass
class TrainState:
    """Place in a run: what comes next (``batch``, a step within the epoch; ``iteration``, over all), sums of losses,
    best figure, seconds that the steps took, the epoch's batches ``(B, P*K)`` where they cannot be drawn again."""

    epoch: int = 0
    batch: int = 0
    iteration: int = 0
    best: float = -1.0
    seconds: float = 0.0
    sums: dict[str, float] = dataclasses.field(default_factory=dict)
    batches: Tensor | None = None


def save_state(
    folder: Path,
    method: Method,
    *,
    optimisers: list[Optimizer],
    generator: torch.Generator,
    train_state: TrainState,
    identity: Identity,
    average: WeightAverage | None = None,
) -> None:
    """Write the state atomically; ``identity`` names the recipe and data that it belongs to."""
    state = {
        "identity": identity.to_state(),
        "device": generator.device.type,
        "method": method.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(generator.device)] if generator.device.type == "cuda" else [],
        "progress": dataclasses.asdict(train_state),
        "average": average.state if average else {},
    }
    write_state(folder / NAME, state)


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain data by PyTorch, atomically.

    Raises:
        UnveilError: the file cannot be written; what was there is untouched.
    """
    with atomic_path(path) as temporary:
        try:
            torch.save(dict(state), temporary)
        except RuntimeError as e:  # torch's zip writer reports a full disk as RuntimeError
            raise OSError(str(e).splitlines()[0]) from e


def load_state(
    folder: Path,
    method: Method,
    *,
    optimisers: list[Optimizer],
    generator: torch.Generator,
    identity: Identity,
    average: WeightAverage | None = None,
) -> tuple[TrainState, tuple[str, ...]]:
    """Restore what `save_state` wrote; return where it stood, and the keys of the recipe that differ and may.

    Raises:
        CheckpointError: there is no state, it is damaged, or it belongs to another recipe or other data.
    """
    path = folder / NAME
    if not path.is_file():
        raise CheckpointError(f"nothing to resume at {path}: start the run without --resume")
    try:
        _check_sums(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        train_state, saved = TrainState(**state["progress"]), state["identity"]
        missing = {"device", "method", "optimisers", "generator", "torch", "cuda", "average"} - set(state)
    except Exception as e:  # a damaged file can make the unpickler raise anything
        raise CheckpointError(f"{path} is damaged ({type(e).__name__}): delete it or choose another --out") from None
    if missing:
        raise CheckpointError(f"{path} is damaged (no {min(missing)} in it): delete it or choose another --out")
    if not isinstance(saved, dict):
        raise CheckpointError(f"{path} was written by an older unveil and does not say for which recipe: start afresh")
    changed = check_same_run(saved, identity, epochs_done=train_state.epoch, where=str(path))
    if state["device"] != generator.device.type:
        raise CheckpointError(f"{path} was written on {state['device']}; random numbers go on only there: train.device")
    load_weights_exactly(method, state["method"], source=str(path))
    try:
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        for name, own in (average.state if average else {}).items():
            own.copy_(state["average"][name])  # in place: the file's are on the CPU, the run's where its weights are
        generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        for random_state in state["cuda"]:
            torch.cuda.set_rng_state(random_state, generator.device)
    except Exception as e:  # each of them takes what it is given apart in its own way
        raise CheckpointError(f"{path} is damaged ({type(e).__name__}): delete it or choose another --out") from None
    return train_state, changed


def _check_sums(path: Path) -> None:
    """Hold every part of a state against its CRC: PyTorch reads a file of which single bytes changed."""
    with zipfile.ZipFile(path) as parts:
        wrong = parts.testzip()
    if wrong is not None:
        raise ValueError(wrong)


def refuse_overwriting(folder: Path, *, resume: bool) -> None:
    """Refuse to write a new run over an old one.

    Raises:
        UnveilError: the folder holds a run and ``resume`` is off.
    """
    if not resume and any((folder / name).exists() for name in (NAME, MODEL)):
        raise UnveilError(f"{folder} already holds a run: resume it with --resume, or choose another --out")
