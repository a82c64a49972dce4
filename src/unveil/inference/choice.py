"""Which engine runs a model fastest here: exported, checked and measured once, then remembered in the cache."""

from __future__ import annotations

import logging
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unveil.atomic_io import locked
from unveil.errors import CheckpointError, MissingExtraError, UnveilError
from unveil.export.parity import TOLERANCE, check_parity, test_crops
from unveil.export.write import write_graph
from unveil.inference import remembered
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.cached_graph import auto_key, graph_name, parity_key
from unveil.inference.engine import Engine, Kind
from unveil.inference.steps import PACKAGES
from unveil.models.checkpoint import TrainedModel
from unveil.runtime.graph import default_threads

log = logging.getLogger(__name__)
ROUNDS = 3
MIN_CROPS = 500  # about where making and checking the graph has paid for itself
MIN_CROPS_WHEN_MADE = 64
_RUNNERS = {"onnx": onnx_engine, "openvino": openvino_engine}


def chosen_engine(
    model: TrainedModel, kind: Literal["auto", "onnx", "openvino"] = "auto", *, threads: int | None = None
) -> Engine:
    """Return an engine for a model on the CPU; its exported file is made when the cache has none.

    Args:
        model: on the CPU.
        kind: "auto" takes the fastest of those installed that agree with PyTorch; PyTorch where the cache cannot be
            written.
        threads: threads of one inference; all cores by default.

    Raises:
        MissingExtraError: an engine was asked for by name and is not installed.
        CheckpointError: an engine was asked for by name and disagrees with PyTorch.
        UnveilError: an engine was asked for by name and the model cannot be exported, or the cache not be written.
    """
    folder = remembered.folder_of(model.card.fingerprint)
    threads = threads or default_threads()
    if kind == "auto":
        try:
            return _remembered_or_fastest(model, threads, folder=folder)
        except (UnveilError, OSError) as e:  # engines that cannot be used are left out: this is the cache
            log.warning("%s; PyTorch runs the model, which may be slower than the engines that are made there", e)
            return torch_engine(model, threads)
    file = folder / "engines.json"
    with locked(file):
        _require(kind)
        return _checked(model, kind, threads=threads, folder=folder, known=remembered.read(file))[0]


def _remembered_or_fastest(model: TrainedModel, threads: int, *, folder: Path) -> Engine:
    file = folder / "engines.json"
    with locked(file):
        known = remembered.read(file)
        key = auto_key(threads)
        best = known.get(key)
        if best == "torch":
            return torch_engine(model, threads)
        if best in _RUNNERS:
            try:
                return _checked(model, best, threads=threads, folder=folder, known=known)[0]
            except UnveilError as e:
                log.warning("%s, chosen before, cannot be used any more: %s", best, e)
        best, engine = _fastest(model, threads, folder=folder, known=known)
        known[key] = best
        remembered.keep(file, known)
        return engine


def pays(model: TrainedModel, crops: int, *, threads: int | None = None) -> bool:
    """Return whether `chosen_engine` saves time on so many crops: making a graph takes some."""
    known = remembered.read(remembered.folder_of(model.card.fingerprint) / "engines.json")
    made = auto_key(threads or default_threads()) in known
    return crops >= (MIN_CROPS_WHEN_MADE if made else MIN_CROPS)


def _fastest(model: TrainedModel, threads: int, *, folder: Path, known: dict[str, Any]) -> tuple[Kind, Engine]:
    engines: dict[Kind, Engine] = {"torch": torch_engine(model, threads)}
    for kind in ("openvino", "onnx"):
        try:
            _require(kind)
            engines[kind] = _checked(model, kind, threads=threads, folder=folder, known=known)[0]
        except MissingExtraError:
            continue
        except UnveilError as e:
            log.warning("engine %s is left out: %s", kind, e)
    if len(engines) == 1:
        return "torch", engines["torch"]
    crops = test_crops(engines["torch"].crop_size)
    seconds = dict.fromkeys(engines, np.inf)
    for _ in range(ROUNDS):  # in turn, so that other work on the machine slows all of them
        for kind, engine in engines.items():
            start = time.perf_counter()
            engine.embed(crops)
            seconds[kind] = min(seconds[kind], time.perf_counter() - start)
    best = min(seconds, key=lambda kind: seconds[kind])
    log.info(
        "engine %s (%s crops per second; %s)", best, f"{len(crops) / seconds[best]:.0f}",
        ", ".join(f"{kind} {len(crops) / s:.0f}" for kind, s in seconds.items() if kind != best),
    )  # fmt: skip
    return best, engines[best]


def _checked(
    model: TrainedModel, kind: Literal["onnx", "openvino"], *, threads: int, folder: Path, known: dict[str, Any]
) -> tuple[Engine, float]:
    """Return an engine on the cached export, made when there is none, that has once agreed with PyTorch here."""
    file = folder / graph_name()
    for attempt in range(2):
        if not file.is_file():
            for other in folder.glob("model-*.onnx"):
                other.unlink()
            write_graph(model, file)
        try:
            engine = _RUNNERS[kind](file, threads)
            if engine.fingerprint == model.card.fingerprint:
                engine.name = model.name  # not that of a file in the cache
                break
            raise CheckpointError(f"{file} is of another model")
        except CheckpointError:
            if attempt:
                raise
            file.unlink()  # damaged in the cache: made again
    key = parity_key(kind, file)
    if not known.get(key, np.inf) <= TOLERANCE:
        known[key] = check_parity(torch_engine(model, threads), engine).largest
        remembered.keep(folder / "engines.json", known)
    return engine, known[key]


def _require(kind: str) -> None:
    try:
        version(PACKAGES[kind])
    except PackageNotFoundError:
        raise MissingExtraError(f"running a model with {PACKAGES[kind]}", kind) from None
