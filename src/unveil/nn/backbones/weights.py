"""Reading weights of other projects into a module, strictly: what does not fit is listed, never skipped in silence."""

from __future__ import annotations

import _codecs
import errno
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unveil.errors import CheckpointError
from unveil.nn.backbones.backbone import Backbone
from unveil.pretrained import weights_path

WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "model.", "backbone.", "base.")
CLASSIFIERS = ("fc", "classifier", "head")
LISTED = 10


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file or of a PyTorch checkpoint (read without running any code in it).

    ``unveil:NAME`` stands for the weights of that name that ship with the package.

    Raises:
        CheckpointError: the file is missing, damaged or holds something other than tensors.
    """
    path = weights_path(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_numpy_numbers()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on pickles of other kinds, which are refused in words below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as e:
        if e.errno == errno.EINVAL:  # PyTorch seeks before the beginning of an archive that was cut
            raise CheckpointError(f"weights {path} cannot be read: its archive is cut short or damaged") from None
        raise CheckpointError(f"cannot read weights {path}: {e.strerror or e}") from None
    except Exception as e:  # a damaged file can make the unpickler raise anything
        raise CheckpointError(f"weights {path} {_why(e)}") from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"weights {path}: expected a state dict, found {type(content).__name__}")
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"weights {path}: expected a state dict, found no tensor in it")
    return tensors


def _numpy_numbers() -> list[Any]:
    """Return what NumPy's numbers are pickled with: torchreid keeps the Rank-1 rate beside the weights as one.

    They hold bytes and a type and run nothing; arrays are not among them.
    """
    kinds = [type(np.dtype(name)) for name in ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")]
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    names = ("numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar")
    return [
        *((scalar, name) for name in names),
        np.dtype,
        _codecs.encode,
        *sorted(kinds, key=lambda kind: kind.__name__),
    ]


def _why(error: Exception) -> str:
    """Return why a file was not read, in a sentence of our own: PyTorch's advises to run the code in it."""
    found = re.search(r"GLOBAL ([\w.]+)|class (?:of type )?'?([\w.]+)'? was not", str(error))
    if found:
        return (
            f"holds objects of {found[1] or found[2]} beside tensors, which are not opened because that can run code; "
            "save the tensors alone: torch.save(model.state_dict(), path)"
        )
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if "Weights only load failed" in reason:
        reason = "its pickle is damaged or of another kind"
    elif "PytorchStreamReader" in reason:
        reason = "its archive is cut short or damaged"
    return f"cannot be read as safetensors or as a plain state dict: {reason}"


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a file of weights into a module.

    Prefixes of wrapping modules ("module.", "backbone.", ...) are stripped; where only some keys begin with one, the
    others belong to heads and are left out. So are the tensors of a classifier that the module does not have.

    Raises:
        CheckpointError: the file cannot be read, or keys are missing, unexpected or of another shape.
    """
    expected = module.state_dict()
    tensors = read_weights(path)
    if isinstance(module, Backbone):
        tensors = module.own_keys(tensors)
    found = _own_keys(tensors, set(expected))
    # Written by PyTorch >= 0.4.1 only; older checkpoints lack it and nothing depends on it.
    missing = [key for key in expected if key not in found and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in found if key not in expected]
    wrong = [
        f"{key} {tuple(found[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in found and found[key].shape != expected[key].shape
    ]
    if missing or unexpected or wrong:
        lists = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
        raise CheckpointError(
            f"weights {path} do not fit {type(module).__name__}: "
            + "; ".join(_list(*pair) for pair in lists if pair[1])
        )
    module.load_state_dict(found, strict=False)


def _own_keys(tensors: dict[str, Tensor], expected: set[str]) -> dict[str, Tensor]:
    stripping = True
    while stripping:
        stripping = False
        for prefix in PREFIXES:
            inside = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            if inside and not any(key.startswith(prefix) for key in expected):
                tensors, stripping = inside, True
    return {k: v for k, v in tensors.items() if k in expected or k.split(".")[0] not in CLASSIFIERS}


def _list(what: str, keys: list[str]) -> str:
    rest = f", ... ({len(keys)} in all)" if len(keys) > LISTED else ""
    return f"{what}: {', '.join(keys[:LISTED])}{rest}"
