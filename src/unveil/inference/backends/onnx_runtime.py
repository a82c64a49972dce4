"""An exported ``.onnx`` file run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError
from unveil.export.metadata import KEY, read_metadata
from unveil.inference.backends.exported_file import check_exists, default_threads, first_line
from unveil.inference.engine import Engine


def onnx_engine(path: Path, threads: int | None = None) -> Engine:
    """Return an engine that runs an exported ``.onnx`` file with ONNX Runtime on the CPU.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtraError("running a model with ONNX Runtime", "onnx") from None
    check_exists(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime raises its own kinds, none of them public
        raise CheckpointError(f"{path}: not a model that ONNX Runtime can load: {first_line(e)}") from None
    metadata = read_metadata(session.get_modelmeta().custom_metadata_map.get(KEY), str(path))

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, visibility = session.run(["vectors", "visibility"], {"images": crops})
        return vectors, visibility

    return Engine("onnx", metadata, run)
