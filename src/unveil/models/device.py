"""Choosing a device and a precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from unveil.errors import RecipeError


def pick_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is the first GPU, else the CPU.

    Raises:
        RecipeError: the device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as e:
        raise RecipeError(f"device {name!r} cannot be used: {str(e).splitlines()[0]}") from None
    return device


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the mixed-precision context: bf16 where asked for, or where "auto" finds a GPU that has it."""
    native = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bf16" or (precision == "auto" and native):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()
