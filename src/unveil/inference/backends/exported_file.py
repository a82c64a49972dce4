"""What the engines that run exported files share: the check of the path, the number of threads, their errors."""

from __future__ import annotations

import os
from pathlib import Path

from unveil.errors import CheckpointError


def default_threads() -> int:
    """Return ``$OMP_NUM_THREADS`` where it is set, else the number of cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(asked)) if asked.isdecimal() else cores


def check_exists(path: Path) -> None:
    """Refuse a path where no file is.

    Raises:
        CheckpointError: there is none.
    """
    if not path.is_file():
        raise CheckpointError(f"no model at {path}: `unveil export` makes such files")


def first_line(error: Exception) -> str:
    """Return the line of an engine's error that says what is wrong: the last one."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
