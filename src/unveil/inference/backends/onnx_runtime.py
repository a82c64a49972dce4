"""An exported ``.onnx`` file run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from unveil.inference.backends.exported_file import open_exported
from unveil.inference.engine import Engine


def onnx_engine(path: Path, threads: int | None = None) -> Engine:
    """Return an engine that runs an exported ``.onnx`` file with ONNX Runtime on the CPU.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    return open_exported(path, threads, runtime="onnx")
