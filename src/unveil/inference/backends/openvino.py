"""An exported ``.onnx`` or ``.xml`` file run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

from unveil.inference.backends.exported_file import open_exported
from unveil.inference.engine import Engine


def openvino_engine(path: Path, threads: int | None = None) -> Engine:
    """Return an engine that runs an exported ``.onnx`` or ``.xml`` file with OpenVINO on the CPU.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    return open_exported(path, threads, runtime="openvino")
