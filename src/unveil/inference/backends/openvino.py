"""An exported ``.onnx`` or ``.xml`` file run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unveil.errors import CheckpointError, MissingExtraError
from unveil.export.metadata import KEY, read_metadata
from unveil.inference.backends.exported_file import check_exists, default_threads, first_line
from unveil.inference.engine import Engine


def openvino_engine(path: Path, threads: int | None = None) -> Engine:
    """Return an engine that runs an exported ``.onnx`` or ``.xml`` file with OpenVINO on the CPU.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        CheckpointError: the file is missing or no export of this tool.
    """
    try:
        import openvino
    except ImportError:
        raise MissingExtraError("running a model with OpenVINO", "openvino") from None
    check_exists(path)
    core = openvino.Core()
    # Left alone it computes in bfloat16 on CPUs that have it, and vectors change by some thousandths of their length.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or default_threads()}
    try:
        graph = core.read_model(path)
        compiled = core.compile_model(graph, "CPU", settings)
    except Exception as e:  # OpenVINO raises RuntimeError with pages of its own source lines
        raise CheckpointError(f"{path}: not a model that OpenVINO can load: {first_line(e)}") from None
    where = [KEY] if path.suffix == ".xml" else ["framework", KEY]
    metadata = read_metadata(str(graph.get_rt_info(where).value) if graph.has_rt_info(where) else None, str(path))
    request = compiled.create_infer_request()

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = request.infer({"images": crops}, share_inputs=True)
        return np.array(found["vectors"]), np.array(found["visibility"])

    return Engine("openvino", metadata, run)
