"""Which engine runs a model fastest here: exported, checked and measured once, then remembered in the cache."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError, UnveilError
from unveil.export.metadata import FORMAT
from unveil.export.parity import TOLERANCE, check_parity, test_crops
from unveil.export.write import write_graph
from unveil.files import cache_dir, locked, write_text
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine, Kind
from unveil.models.checkpoint import TrainedModel
from unveil.runtime.session import default_threads

log = logging.getLogger(__name__)
ROUNDS = 3
MIN_CROPS = 500  # about where making and checking the graph has paid for itself
MIN_CROPS_WHEN_MADE = 64
_RUNNERS = {"onnx": onnx_engine, "openvino": openvino_engine}
_PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}


def chosen_engine(
    model: TrainedModel, kind: Literal["auto", "onnx", "openvino"] = "auto", threads: int | None = None
) -> Engine:
    """Return an engine for a model on the CPU; its exported file is made when the cache has none.

    Args:
        model: on the CPU.
        kind: "auto" takes the fastest of those installed that agree with PyTorch.
        threads: threads of one inference; all cores by default.

    Raises:
        MissingExtraError: an engine was asked for by name and is not installed.
        CheckpointError: an engine was asked for by name and disagrees with PyTorch.
        UnveilError: an engine was asked for by name and the model cannot be exported.
    """
    folder = cache_dir() / "engines" / model.card.fingerprint
    threads = threads or default_threads()
    remembered = folder / "engines.json"
    with locked(remembered):
        known = _read(remembered)
        if kind != "auto":
            _require(kind)
            return _checked(model, kind, threads, folder, known)[0]
        key = f"auto-{threads}-{_state()}"
        best = known.get(key)
        if best == "torch":
            return torch_engine(model, threads)
        if best in _RUNNERS:
            try:
                return _checked(model, best, threads, folder, known)[0]
            except UnveilError as e:
                log.warning("%s, chosen before, cannot be used any more: %s", best, e)
        best, engine = _fastest(model, threads, folder, known)
        known[key] = best
        _keep(remembered, known)
        return engine


def pays(model: TrainedModel, crops: int, threads: int | None = None) -> bool:
    """Return whether `chosen_engine` saves time on so many crops: making a graph takes some."""
    known = _read(cache_dir() / "engines" / model.card.fingerprint / "engines.json")
    made = f"auto-{threads or default_threads()}-{_state()}" in known
    return crops >= (MIN_CROPS_WHEN_MADE if made else MIN_CROPS)


def _fastest(model: TrainedModel, threads: int, folder: Path, known: dict[str, Any]) -> tuple[Kind, Engine]:
    engines: dict[Kind, Engine] = {"torch": torch_engine(model, threads)}
    for kind in ("openvino", "onnx"):
        try:
            _require(kind)
            engines[kind] = _checked(model, kind, threads, folder, known)[0]
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
        "engine %s (%s crops a second; %s)", best, f"{len(crops) / seconds[best]:.0f}",
        ", ".join(f"{kind} {len(crops) / s:.0f}" for kind, s in seconds.items() if kind != best),
    )  # fmt: skip
    return best, engines[best]


def _checked(
    model: TrainedModel, kind: Literal["onnx", "openvino"], threads: int, folder: Path, known: dict[str, Any]
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
    key = f"parity-{kind}-{_state(kind)}-{file.stat().st_mtime_ns}"
    if known.get(key, np.inf) > TOLERANCE:
        known[key] = check_parity(torch_engine(model, threads), engine).largest
        _keep(folder / "engines.json", known)
    return engine, known[key]


@functools.cache
def graph_name() -> str:
    """Return the name of a model's exported file in the cache.

    It follows the code that made the graph: a method that embeds otherwise since an upgrade must not run as it was.
    """
    package = Path(__file__).parents[1]
    code = hashlib.sha256()
    for path in sorted(p for name in ("methods", "nn", "export") for p in (package / name).rglob("*.py")):
        code.update(path.read_bytes())
    return f"model-{FORMAT}-{code.hexdigest()[:12]}.onnx"


def _require(kind: str) -> None:
    try:
        version(_PACKAGES[kind])
    except PackageNotFoundError:
        raise MissingExtraError(f"running a model with {_PACKAGES[kind]}", kind) from None


def _state(*kinds: str) -> str:
    """Return versions and machine: what was measured elsewhere or before an upgrade says nothing here."""
    found = []
    for kind in kinds or tuple(_PACKAGES):
        try:
            found.append(version(_PACKAGES[kind]))
        except PackageNotFoundError:
            found.append("none")
    return "-".join((*found, version("torch"), platform.node()))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(path: Path, known: dict[str, Any]) -> None:
    write_text(path, json.dumps(known, indent=1))
