"""A trained model run from its graph in the cache, without PyTorch, where everything was checked before."""

from __future__ import annotations

import functools
import hashlib
import logging
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from unveil.errors import UnveilError
from unveil.export.metadata import FORMAT
from unveil.export.parity import TOLERANCE
from unveil.inference import remembered
from unveil.inference.backends.exported_file import open_exported
from unveil.inference.engine import Engine
from unveil.inference.steps import PACKAGES
from unveil.models.card import card_in_header
from unveil.models.locate import Located, name_of
from unveil.runtime.graph import Runtime

log = logging.getLogger(__name__)
RUNTIMES: tuple[Runtime, ...] = ("onnx", "openvino")
# The code that a graph is made of: beside methods and their blocks what normalises, and what takes an embedding apart.
FOLDERS_IN_GRAPH = ("methods", "nn", "export", "records")
MODULES_IN_GRAPH = ("data/augment/pipeline.py", "label_sets.py")
# What the drivers of GPUs that PyTorch can use leave on Linux.
_DRIVERS = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/kfd", "/dev/dxg")


def cached_engine(
    found: Located, kind: Literal["auto", "onnx", "openvino"], *, threads: int, few: bool = False
) -> Engine | None:
    """Return an engine on the graph in the cache; ``None`` where PyTorch has to be asked first.

    Args:
        found: a trained model.
        kind: "auto": the one that `unveil.inference.choice.chosen_engine` has chosen before.
        threads: threads of one inference.
        few: with "auto", take ONNX Runtime where it has agreed with PyTorch: it opens a graph in a fifth of the time.
    """
    card = card_in_header(found.path)
    if card is None or (card.adaptation and card.adaptation.cameras) or may_have_gpu():
        return None
    folder = remembered.folder_of(card.fingerprint)
    file, known = folder / graph_name(), remembered.read(folder / "engines.json")
    best = known.get(auto_key(threads)) if kind == "auto" else kind
    if best not in RUNTIMES or not file.is_file():
        return None
    for runtime in dict.fromkeys(("onnx", best) if few and kind == "auto" else (best,)):
        if not known.get(parity_key(runtime, file), TOLERANCE + 1) <= TOLERANCE:
            continue
        try:
            engine = open_exported(file, threads, runtime=runtime)
        except UnveilError as e:
            log.debug("%s: %s", file, e)
            continue
        if engine.fingerprint == card.fingerprint:
            engine.name = name_of(found.source)
            return engine
    return None


@functools.cache
def graph_name() -> str:
    """Return the name of a model's exported file in the cache.

    It follows the code that made the graph: a method that embeds otherwise since an upgrade must not run as it was.
    """
    package = Path(__file__).parents[1]
    code = hashlib.sha256()
    folders = (p for name in FOLDERS_IN_GRAPH for p in (package / name).rglob("*.py"))
    for path in sorted((*folders, *(package / name for name in MODULES_IN_GRAPH))):
        code.update(path.read_bytes())
    return f"model-{FORMAT}-{code.hexdigest()[:12]}.onnx"


def auto_key(threads: int) -> str:
    """Return what the fastest engine is remembered by: for a graph of other code all are checked and measured anew."""
    return f"auto-{threads}-{graph_name()}-{_state(*RUNTIMES)}"


def parity_key(kind: Runtime, file: Path) -> str:
    """Return what the difference of a graph from PyTorch is remembered by."""
    return f"parity-{kind}-{_state(kind)}-{file.stat().st_mtime_ns}"


def may_have_gpu() -> bool:
    """Return whether PyTorch might find a GPU here, without importing it."""
    if version("torch").endswith("+cpu") or sys.platform == "darwin":
        return False
    return not sys.platform.startswith("linux") or any(Path(driver).exists() for driver in _DRIVERS)


def _state(*kinds: Runtime) -> str:
    """Return versions and machine: what was measured elsewhere or before an upgrade says nothing here."""
    found = []
    for kind in kinds:
        try:
            found.append(version(PACKAGES[kind]))
        except PackageNotFoundError:
            found.append("none")
    return "-".join((*found, version("torch"), platform.node()))
