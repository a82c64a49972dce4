"""Choosing a device and a precision."""

from __future__ import annotations

import sys

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


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16, rather than only storing it or emulating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bf16: where asked for, or where "auto" finds a GPU that has it."""
    return precision == "bf16" or (precision == "auto" and device.type == "cuda" and has_bf16(device))


def peak_bytes(device: torch.device) -> dict[str, int]:
    """Return the most memory that this process has had since it started, by what was measured.

    Args:
        device: what it computes on.

    Returns:
        ``gpu``: the tensors that PyTorch had there, without its cache and what CUDA itself takes. Else ``resident``:
        main memory of the whole process, its libraries included. Empty where the system does not tell.
    """
    if device.type == "cuda":
        return {"gpu": torch.cuda.max_memory_allocated(device)}
    try:
        import resource
    except ImportError:  # not on Windows
        return {}
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"resident": used * (1 if sys.platform == "darwin" else 1024)}


def peak_memory(device: torch.device) -> str:
    """Return `peak_bytes` in words; empty where the system does not tell."""
    names = {"gpu": "GPU memory", "resident": "resident memory"}
    return "".join(f"{used / 2**30:.1f} GiB of {names[kind]} at most" for kind, used in peak_bytes(device).items())
