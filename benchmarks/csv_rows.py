"""The CSV that a benchmark writes, and what its rows say of where they were measured."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from unveil.atomic_io import atomic_path

if TYPE_CHECKING:
    import torch

PACKAGES = ("numpy", "torch")  # that every benchmark runs on
ENGINES = ("onnxruntime", "openvino")  # that some import


def write_rows(path: Path, rows: Sequence[Mapping[str, object]], *, key: Sequence[str] = ()) -> None:
    """Write rows atomically; the folder is made where it is missing.

    Args:
        path: of the CSV.
        rows: measured now, each with the columns of `measured_on`. A cell is empty where a row lacks a column.
        key: columns of a CSV that is added to: only those rows of the file are replaced that agree with a new one in
            all of them. Without, the new rows replace the file.

    Raises:
        ValueError: there is no row, or one that does not say on what it was measured.
        UnveilError: the file cannot be written; it is as it was.
    """
    if not rows:
        raise ValueError(f"expected rows for {path}, found none")
    missing = [name for name in measured_on() if any(name not in row for row in rows)]
    if missing:
        raise ValueError(f"expected rows with the columns of `measured_on`, found some without {', '.join(missing)}")
    replaced = {tuple(str(row[name]) for name in key) for row in rows}
    old = read_rows(path) if key and path.is_file() else []
    written = [*(row for row in old if tuple(row.get(name, "") for name in key) not in replaced), *rows]
    with atomic_path(path) as temporary, temporary.open("w", newline="") as f:
        writer = csv.DictWriter(f, list(dict.fromkeys(name for row in written for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(written)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV; those of other times may lack columns, whose cells are then empty."""
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def measured_on(device: torch.device | None = None) -> dict[str, object]:
    """Return on what is measured now, the load included: columns of every row.

    Args:
        device: that computes, where it may be a GPU.
    """
    gpu = []
    if device is not None and device.type == "cuda":
        import torch  # some benchmarks do without

        gpu = [torch.cuda.get_device_name(device)]
    installed = [*PACKAGES, *(name for name in ENGINES if name in sys.modules)]
    packages = ", ".join(f"{name} {version(name)}" for name in installed)
    return {
        "machine": ", ".join([f"{os.cpu_count()} cores {_processor()}", *gpu]),
        "load": f"{os.getloadavg()[0]:.1f}",
        "versions": f"python {platform.python_version()}, {packages}",
        "commit": _commit(),
    }


@cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


@cache
def _commit() -> str:
    """Return the commit, with "+" where the tree differs from it in more than results; nothing outside git."""
    here = Path(__file__).parents[1]

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=False)

    try:
        found = git("rev-parse", "--short", "HEAD")
        # Results of one benchmark are no change to the code that the next one runs.
        changed = git("diff", "--quiet", "HEAD", "--", ".", ":!benchmarks/results")
    except OSError:  # git is not installed
        return ""
    return "" if found.returncode else found.stdout.strip() + "+" * (changed.returncode != 0)
