"""A model to embed with from a file: a trained model, a run, or an exported graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

from unveil.errors import MissingExtraError, RecipeError
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.engine import Engine, Kind


def load_engine(model: Path | str, kind: str = "auto", threads: int | None = None) -> Engine:
    """Load a model to embed with.

    Args:
        model: a model file or the folder of a run; or an exported file (``.onnx``, ``.xml``), which needs no PyTorch.
        kind: "torch", "onnx", "openvino", or "auto": the fastest that is installed and agrees with PyTorch, measured
            once and remembered in the cache; on a machine with a GPU that PyTorch can use, "torch".
        threads: threads of one inference; all cores by default.

    Raises:
        CheckpointError: the model cannot be read, or disagrees with PyTorch when it is run so.
        MissingExtraError: what runs that kind is not installed.
        RecipeError: there is no such kind, or it cannot run such a file.
    """
    path = Path(model)
    if kind != "auto" and kind not in get_args(Kind):
        raise RecipeError(f"unknown engine {kind!r}; known: auto, {', '.join(get_args(Kind))}")
    if path.suffix in (".onnx", ".xml"):
        return _exported_engine(path, kind, threads)
    from unveil.inference.backends.pytorch import torch_engine
    from unveil.inference.choice import chosen_engine
    from unveil.models.checkpoint import load_model
    from unveil.models.device import pick_device

    device = pick_device("auto")
    trained = load_model(path, device)
    if kind == "torch" or (kind == "auto" and device.type != "cpu"):
        return torch_engine(trained, threads)
    return chosen_engine(load_model(path) if device.type != "cpu" else trained, cast(Any, kind), threads)


def _exported_engine(path: Path, kind: str, threads: int | None) -> Engine:
    if kind == "torch" or (kind == "onnx" and path.suffix == ".xml"):
        raise RecipeError(f"{path} cannot be run by {kind}: name the model itself (.safetensors), or another engine")
    if kind != "auto":
        return {"onnx": onnx_engine, "openvino": openvino_engine}[kind](path, threads)
    try:
        return openvino_engine(path, threads)
    except MissingExtraError:
        if path.suffix == ".xml":
            raise
        return onnx_engine(path, threads)
