"""The one loader: any kind of model from a path or a name, ready to embed with."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

from unveil.errors import RecipeError
from unveil.inference.cached_graph import cached_engine
from unveil.inference.engine import Engine, Kind
from unveil.models.card import card_in_header
from unveil.models.embedder import Embedder
from unveil.models.locate import Located, locate
from unveil.runtime.graph import default_threads

log = logging.getLogger(__name__)
FEW = 64  # crops: OpenVINO compiles a graph for longer than it is faster on them


def load_engine(
    model: Path | str,
    kind: str = "auto",
    *,
    threads: int | None = None,
    crops: int | None = None,
    check: Callable[[str], None] | None = None,
) -> Engine:
    """Load a model to embed with.

    Args:
        model: a model file or the folder of a run; ``unveil:NAME``; the name of an installed model; an exported file
            (``.onnx``, ``.xml``), which needs no PyTorch; or a model of another project with its card beside it.
        kind: "torch", "onnx", "openvino", or "auto": the fastest that is installed and agrees with PyTorch, measured
            once and remembered in the cache; on a machine with a GPU that PyTorch can use, and for a model with
            statistics of cameras, which only PyTorch tells apart, "torch".
        threads: threads of one inference; all cores by default.
        crops: how many will be embedded, where that is known: for few, "auto" takes what is ready soonest.
        check: raises where a fingerprint is not wanted; of a model of this package before it is opened, which may take
            a minute.

    Raises:
        CheckpointError: the model cannot be read, or disagrees with PyTorch when it is run so.
        MissingExtraError: what runs that kind is not installed.
        RecipeError: there is no such kind, or it cannot run such a file.
    """
    _check(kind)
    found = locate(model)
    if check is not None and found.kind == "trained" and (card := card_in_header(found.path)) is not None:
        check(card.fingerprint)
    ready = _opened(found, kind, threads=threads, few=crops is not None and crops <= FEW)
    if check is not None:
        check(ready.fingerprint)
    return ready


def _opened(found: Located, kind: str, *, threads: int | None, few: bool) -> Engine:
    if found.kind != "trained":
        return _file_engine(found, kind, threads=threads, few=few)
    if kind != "torch" and (
        ready := cached_engine(found, cast(Any, kind), threads=threads or default_threads(), few=few)
    ):
        return ready
    from unveil.inference.backends.pytorch import torch_engine
    from unveil.inference.choice import chosen_engine
    from unveil.models.checkpoint import load_model
    from unveil.models.device import pick_device

    device = pick_device("auto")
    trained = load_model(found.source, device)
    if kind == "auto" and trained.cameras:
        log.info("%s has statistics of %d cameras: PyTorch runs it", trained.name, len(trained.cameras))
    if kind == "torch" or (kind == "auto" and (device.type != "cpu" or trained.cameras)):
        return torch_engine(trained, threads)
    if trained.cameras:
        log.warning(
            "%s has statistics of %d cameras, which %s does not tell apart: it embeds every crop with those of all of "
            "them together", trained.name, len(trained.cameras), kind,
        )  # fmt: skip
    return chosen_engine(
        load_model(found.source) if device.type != "cpu" else trained, cast(Any, kind), threads=threads
    )


def load_embedder(
    model: Path | str, kind: str = "auto", *, device: str = "auto", threads: int | None = None, crops: int = 0
) -> Embedder:
    """Load a model to embed datasets with: one of this package by PyTorch, parsing maps and all, others as they run.

    A model of this package that looks at no parsing maps, and is adapted to no cameras, is run on the CPU by the
    fastest engine that agrees with PyTorch, as galleries run it, where so many crops pay for making its graph.

    Args:
        model: as for `load_engine`.
        kind: "auto" or "torch" run a model of this package by PyTorch, which looks at parsing maps where its method
            does; "onnx" and "openvino" run it as `load_engine` does.
        device: of PyTorch: "auto", "cpu", "cuda", ...
        threads: threads of one inference; all cores by default.
        crops: how many will be embedded, where that is known.

    Raises:
        CheckpointError: the model cannot be read, or disagrees with PyTorch when it is run so.
        MissingExtraError: what runs that kind is not installed.
        RecipeError: there is no such kind or device, or it cannot run such a file.
    """
    _check(kind)
    found = locate(model)
    if found.kind == "trained" and kind in ("auto", "torch"):
        from unveil.models.checkpoint import load_model
        from unveil.models.device import pick_device

        trained = load_model(found.source, pick_device(device))
        if kind == "auto" and trained.device.type == "cpu" and trained.test_parsing is None and not trained.cameras:
            from unveil.inference.choice import chosen_engine, pays

            if pays(trained, crops, threads=threads):
                return chosen_engine(trained, "auto", threads=threads)
        return trained
    if device not in ("auto", "cpu"):
        raise RecipeError(f"device {device!r}: {model} is run by ONNX Runtime or OpenVINO, on the CPU")
    return load_engine(model, kind, threads=threads, crops=crops or None)


def _check(kind: str) -> None:
    if kind != "auto" and kind not in get_args(Kind):
        raise RecipeError(f"unknown engine {kind!r}; known: auto, {', '.join(get_args(Kind))}")


def _file_engine(found: Located, kind: str, *, threads: int | None, few: bool = False) -> Engine:
    path = found.path
    if kind == "torch" or (kind == "onnx" and path.suffix.lower() == ".xml"):
        raise RecipeError(f"{path} cannot be run by {kind}: name the model itself (.safetensors), or another engine")
    if found.kind == "external":
        from unveil.inference.backends.external import external_engine

        return external_engine(path, threads, runtime=kind, few=few)
    from unveil.inference.backends.exported_file import exported_engine
    from unveil.runtime.session import open_fastest, open_session

    return exported_engine((open_session if few else open_fastest)(path, threads or 0, runtime=kind))
