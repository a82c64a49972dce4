"""An exported ``.onnx`` or ``.xml`` file run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

from unveil.inference.backends.exported_file import exported_engine
from unveil.inference.engine import Engine
from unveil.runtime.session import open_session


def openvino_engine(path: Path, threads: int | None = None) -> Engine:
    """Return an engine that runs an exported ``.onnx`` or ``.xml`` file with OpenVINO on the CPU.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    return exported_engine(open_session(path, threads or 0, runtime="openvino"))
