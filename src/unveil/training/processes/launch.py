"""Where the processes of a run come from: torchrun or SLURM has started them, or this one starts them by itself."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import torch
from torch import distributed

from unveil.errors import InterruptedRunError, MissingExtraError, UnveilError
from unveil.progress import show_progress
from unveil.training.processes.many import ManyProcesses
from unveil.training.processes.supervise import INTERRUPTED, lost_process, supervise

Task = Callable[[ManyProcesses], None]
# Deaths are noticed at once. Silence is not one: the first process may decode or evaluate while the others wait.
TIMEOUT = timedelta(hours=2)


@dataclass(frozen=True)
class Started:
    """Processes that something else has started.

    Args:
        by: what.
        devices: processes on each machine.
        nodes: machines.
    """

    by: Literal["torchrun", "SLURM", "unveil"]
    devices: int
    nodes: int


def started_by_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in environment and int(environment.get("WORLD_SIZE", "1")) > 1


def find_started(devices: int | None, environment: Mapping[str, str] = os.environ) -> Started | None:
    """Return who has started the processes, or ``None``: nobody has.

    Args:
        devices: how many the user wants on each machine; SLURM is believed only where this is said.
        environment: variables.

    Raises:
        UnveilError: another number was started.
    """
    if started_by_torchrun(environment):
        each = int(environment["LOCAL_WORLD_SIZE"])
        found = Started("torchrun", each, int(environment["WORLD_SIZE"]) // each)
    elif devices is not None and int(environment.get("SLURM_NTASKS", "1")) > 1:
        if "SLURM_NTASKS_PER_NODE" not in environment:
            raise UnveilError("SLURM: say --ntasks-per-node, as many as there are devices in a machine, not --ntasks")
        nodes = int(environment.get("SLURM_NNODES", "1"))
        found = Started("SLURM", int(environment["SLURM_NTASKS_PER_NODE"]), nodes)
    else:
        return None
    if devices not in (None, found.devices):
        raise UnveilError(
            f"--devices {devices}, but {found.by} has started {found.devices} processes on each machine: "
            "give the same number"
        )
    return found


def launch(
    task: Task, *, devices: int | None, device: str = "auto", terminal: Callable[[], None] | None = None
) -> bool:
    """Run a task in several processes; where nobody has started them, in new ones, and wait for them.

    Args:
        task: takes what it knows of the processes; one that can be pickled.
        devices: processes on each machine, one a device; may be ``None`` under torchrun.
        device: kind of the devices: "auto", "cpu" or "cuda".
        terminal: sets up log and progress in the first of the new processes.

    Returns:
        Whether this process goes on for all: the first one, or the one that has waited.

    Raises:
        UnveilError: they cannot be started so, or one of them failed.
        InterruptedRunError: interrupted by Ctrl-C; all have ended.
    """
    started = find_started(devices)
    try:
        import lightning_fabric  # noqa: F401
    except ImportError:
        raise MissingExtraError("training on several devices", "distributed") from None
    kind = _kind(device)
    if started is not None:
        return join(task, started, kind=kind)
    if devices is None or devices < 2:
        raise UnveilError(f"--devices {devices}: expected 2 or more, or none of this option for one device")
    _check_devices(devices, kind)
    supervise(partial(_begin, task=task, started=Started("unveil", devices, 1), kind=kind, terminal=terminal), devices)
    return True


def join(task: Task, started: Started, *, kind: str) -> bool:
    """Run a task as one of the processes that were started; see `launch`."""
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    _check_devices(started.devices, kind)
    environments: dict[str, type[Any]] = {
        "torchrun": TorchElasticEnvironment,
        "SLURM": SLURMEnvironment,
        "unveil": LightningEnvironment,
    }
    # Buffers are the same everywhere as they are: batch norms are synchronised, means are those of the whole batch.
    strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False, timeout=TIMEOUT)
    fabric = Fabric(
        accelerator=kind,
        devices=started.devices,
        num_nodes=started.nodes,
        strategy=strategy,
        plugins=[environments[started.by]()],
    )
    leads = fabric.global_rank == 0
    if not leads:
        logging.disable(logging.WARNING)
        show_progress(on=False)
    try:
        with lost_process():
            fabric.launch(lambda fabric: task(ManyProcesses(fabric)))
    except InterruptedRunError:
        if leads:
            raise
        sys.exit(INTERRUPTED)  # the first one says it
    distributed.destroy_process_group()
    return leads


def _begin(rank: int, task: Task, *, started: Started, kind: str, terminal: Callable[[], None] | None) -> None:
    if rank == 0 and terminal is not None:
        terminal()
    join(task, started, kind=kind)


def _kind(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device not in ("cpu", "cuda"):
        raise UnveilError(f"train.device={device}: with several devices expected cpu, cuda or auto")
    return device


def _check_devices(devices: int, kind: str) -> None:
    there = torch.cuda.device_count() if kind == "cuda" else devices
    if devices > there:
        raise UnveilError(f"{devices} devices on this machine, but it has {there} GPUs: fewer, or train.device=cpu")
