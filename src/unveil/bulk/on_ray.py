"""Shards embedded by actors of Ray Data, on this machine or on those of a cluster.

A shard is one row of Ray's dataset: an actor reads its crops, embeds them and writes one file under a name that the
plan gave it, whole or not at all. So a row that Ray gives to another actor, because a process or a machine died, makes
the same file again, and what was written before a run was killed need not be made again.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from unveil.atomic_io import alone_in
from unveil.bulk.plan import SHARD_SIZE, divided, plan_of
from unveil.bulk.resume import shards_there
from unveil.bulk.shards import Head, check_folder, require_parquet
from unveil.bulk.worker import Job, ShardEmbedder, Unit, packed
from unveil.errors import DataError, MissingExtraError, RecipeError, UnveilError
from unveil.inference.load import load_embedder
from unveil.models.locate import locate
from unveil.models.summary import ModelSummary
from unveil.progress import track
from unveil.records import Dataset, Sample

log = logging.getLogger(__name__)
LOCAL = "local"
OBJECT_STORE = 128 * 2**20  # bytes, of a Ray that is started here: only lists of crops go through it
RETRIES = 10  # of an actor, and of a shard whose actor died: a machine that is lost takes some until Ray believes it
CONNECT = 5.0  # seconds


@dataclass(frozen=True)
class RaySettings:
    """Where and how shards are embedded.

    Args:
        address: "local", which starts Ray on this machine and ends it, or ``HOST:PORT`` of a running cluster.
        actors: how many; as many as the processors that are free (GPUs, where PyTorch runs on them) have room for by
            default.
        threads: threads of each, on which it has as many processors for itself.
        shard_size: crops of a shard.
        engine: what runs the model; see `unveil.inference.load.load_embedder`.
        device: of PyTorch: "auto" (the cluster's GPUs, if it has any), "cpu" or "cuda".
    """

    address: str = LOCAL
    actors: int | None = None
    threads: int = 1
    shard_size: int = SHARD_SIZE
    engine: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Written:
    """What a folder of shards holds after a run.

    Args:
        heads: of all shards, in order.
        made: how many of them this run made; the others were there.
    """

    heads: tuple[Head, ...]
    made: int

    @property
    def crops(self) -> int:
        """How many crops were embedded."""
        return sum(head.rows for head in self.heads)

    @property
    def left_out(self) -> tuple[str, ...]:
        """A sentence for each crop that could not be read."""
        return tuple(line for head in self.heads for line in head.left_out)


def embed_on_ray(
    model: Path | str, dataset: Dataset, *, samples: Sequence[Sample], folder: Path, settings: RaySettings
) -> Written:
    """Embed crops into a folder of shards; shards that are there, whole and of files that have not changed are kept.

    Model, crops and folder must be seen under the same paths by all machines of the cluster.

    Args:
        model: a path or a name.
        dataset: of the crops.
        samples: those to embed.
        folder: what is written; made when it is not there.
        settings: where and how.

    Raises:
        DataError: the folder holds shards of other crops or of another model, or other files under the names of shards,
            or no crop can be read.
        CheckpointError: the model cannot be read, or is another one where actors run.
        RecipeError: a setting is wrong.
        MissingExtraError: Ray is not installed.
        UnveilError: there is no cluster at the address, or its machines keep dying; what is written is kept. Or another
            process writes into the folder.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("embedding with Ray", "ray")
    require_parquet()
    _check(settings, folder)
    units = divided(samples, settings.shard_size)
    summary, looks_at_maps = _summary(model, settings)
    plan = plan_of(samples, units, model=summary, source=f"{dataset.name}#{dataset.hash}")
    scheme = dataset.parsing_scheme if looks_at_maps else None
    crops = [[samples[row] for row in unit] for unit in units]
    find_there = partial(shards_there, folder, plan, crops=crops, with_maps=scheme is not None)
    with alone_in(folder):
        there = find_there()
        missing = [number for number in range(plan.shards) if number not in there]
        if there:
            log.info("%d of %d shards are there", len(there), plan.shards)
        if missing:
            name = str(model) if not Path(model).exists() else str(Path(model).resolve())
            where = folder.resolve()
            job = Job(plan, where, name, settings.engine, "cpu", settings.threads, scheme)
            with _connected(settings.address) as ray:
                wanted = [packed(samples, units[number], number=number) for number in missing]
                _run(ray, job, units=wanted, settings=settings, find_there=find_there)
        heads = check_folder(folder)
        for leftover in folder.glob(".part-*.tmp"):  # of actors that were killed while they wrote
            leftover.unlink(missing_ok=True)
    found = Written(tuple(heads), len(missing))
    if not found.crops:
        raise DataError(f"none of the {len(samples)} crops can be read; the first: {found.left_out[0]}")
    return found


def _check(settings: RaySettings, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: shards are written into a folder")
    if settings.address != LOCAL and not re.fullmatch(r"[\w.-]+:\d{1,5}", settings.address):
        raise RecipeError(f"--ray {settings.address!r}: expected {LOCAL}, or HOST:PORT of the head of a cluster")
    if settings.device not in ("auto", "cpu", "cuda"):
        raise RecipeError(f"device {settings.device!r}: Ray chooses which GPU an actor has; give auto, cpu or cuda")


def _summary(model: Path | str, settings: RaySettings) -> tuple[ModelSummary, bool]:
    """Return what is told of the model, and whether it looks at parsing maps, before anything is started.

    Shards of another model are so refused at once.
    """
    kind = "torch" if locate(model).kind == "trained" else settings.engine
    embedder = load_embedder(model, kind, device="cpu", crops=1)
    return embedder.summary, embedder.test_parsing is not None


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Give Ray, connected within a block.

    Raises:
        UnveilError: there is no cluster at the address, or it runs other versions of Ray or Python.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address == LOCAL:
        # Ray listens on all interfaces, and runs what anybody sends it: with this, which it has for other systems, on
        # loopback alone. It is read when Ray is imported.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    else:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=CONNECT).close()
        except (OSError, OverflowError) as e:
            raise UnveilError(f"no Ray cluster answers at {address}: {getattr(e, 'strerror', None) or e}") from None
    import ray

    own: dict[str, Any] = {"object_store_memory": OBJECT_STORE, "include_dashboard": False} if address == LOCAL else {}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, RuntimeError, ValueError) as e:
        said = " ".join(str(e).split())[:300]
        raise UnveilError(f"Ray cannot be {'started' if own else f'used at {address}'}: {said}") from None
    finally:
        _handle_sigterm(before)
    with redirect_stdout(sys.stderr):  # where Ray may tell of workers that died: standard output is for results
        try:
            yield ray
        finally:
            ray.shutdown()
            _handle_sigterm(before)


def _handle_sigterm(handler: Any) -> None:
    """Put back what a request to end did before: Ray's own handler aborts the process, and leaves none behind."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _run(ray: Any, job: Job, *, units: list[Unit], settings: RaySettings, find_there: Callable[[], set[int]]) -> None:
    """Make shards, as often as it takes while each time some are made.

    Raises:
        UnveilError: workers die, and not one more shard is made.
    """
    from ray.exceptions import RayError

    while units:
        try:
            _run_once(ray, job, units=units, settings=settings)
            return
        except RayError as e:
            there = find_there()  # by what is in them: one that is to be made again has a file
            left = [u for u in units if u["number"] not in there]
            if len(left) == len(units):
                said = " ".join(str(e).split())[:300]
                raise UnveilError(
                    f"workers of Ray die over {len(left)} of {job.plan.shards} shards ({said}); the others are "
                    "written, and the same command resumes"
                ) from None
            log.warning("workers of Ray died more than %d times: %d shards are tried again", RETRIES, len(left))
            units = left


def _run_once(ray: Any, job: Job, *, units: list[Unit], settings: RaySettings) -> None:
    import ray.data

    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    trained = locate(job.model).kind == "trained"
    on_gpu = settings.device == "cuda" or (settings.device == "auto" and trained and any("GPU" in m for m in machines))
    actors = min(_actors(machines, settings, on_gpu=on_gpu), len(units))
    log.info("Ray: %d actors of %d threads on %d machines", actors, settings.threads, len(machines))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # it tells of every death and retry at length
    made = ray.data.from_items(units, override_num_blocks=len(units)).map(
        ShardEmbedder,
        fn_constructor_args=(replace(job, device="cuda" if on_gpu else "cpu"),),
        compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=2),
        num_cpus=settings.threads,
        num_gpus=1 if on_gpu else 0,
        ray_remote_args_fn=_retries,
    )
    what = f"embedding {job.plan.crops} crops into {job.plan.shards} shards"
    for row in track(made.iter_rows(), what, total=len(units)):
        if row["error"]:
            raise DataError(row["error"])


def _retries() -> dict[str, int]:
    # Without limits a crop that kills whatever reads it, or an actor that cannot live, would be tried for ever.
    return {"max_restarts": RETRIES, "max_task_retries": RETRIES}


def _actors(machines: list[dict[str, float]], settings: RaySettings, *, on_gpu: bool) -> int:
    """Return how many actors to start.

    Raises:
        RecipeError: so many do not fit.
    """
    fit = 0
    for machine in machines:
        room = int(machine.get("CPU", 0) // settings.threads)
        fit += min(room, int(machine.get("GPU", 0))) if on_gpu else room
    wanted = settings.actors or max(1, fit)
    if wanted > fit:
        needs = f"{settings.threads} processor{'s' if settings.threads > 1 else ''}{' and a GPU' if on_gpu else ''}"
        raise RecipeError(
            f"{wanted} actor{'s' if wanted > 1 else ''} with {needs} each do not fit on Ray's machines, which have "
            f"room for {fit}: give fewer --actors, or fewer --threads"
        )
    return wanted
