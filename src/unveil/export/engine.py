"""One way to embed pictures, whatever runs the model: PyTorch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np

from unveil.data.images import resize
from unveil.errors import CheckpointError, MissingExtraError, RecipeError
from unveil.export.head import KEY, Head, SpaceInfo, head_of, read_head
from unveil.records import Embedding

if TYPE_CHECKING:
    from unveil.models.checkpoint import TrainedModel

Kind = Literal["torch", "onnx", "openvino"]
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
BATCH = 32


class Engine:
    """A model that is ready to embed; safe to use from several threads.

    Args:
        kind: what runs it.
        head: card and space of the model.
        run: takes ``(n, H, W, 3)`` uint8 and returns vectors ``(n, E, D)`` and visibility ``(n, E)`` float32.
        batch: crops at a time.
    """

    def __init__(self, kind: Kind, head: Head, run: Run, batch: int = BATCH) -> None:
        self.kind = kind
        self.head = head
        self.batch = batch
        self._run = run
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model: the same whatever runs it."""
        return self.head.card.fingerprint

    @property
    def space_info(self) -> SpaceInfo:
        """Names, dimension, metric and weights of the vectors, and the preprocessing."""
        return self.head.space

    def embed(self, images: Sequence[np.ndarray]) -> Embedding:
        """Return the numpy embedding of crops ``(H, W, 3)`` uint8 RGB of any size, in order.

        Raises:
            ValueError: something is no picture.
        """
        for number, image in enumerate(images):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError(f"image {number}: expected (H, W, 3) uint8, got {image.shape} {image.dtype}")
        info, size = self.space_info, self.space_info.input
        shape = (len(images), len(info.names))
        vectors = np.empty((*shape, info.dimension), np.float32)
        visibility = np.empty(shape, np.float32)
        for start in range(0, len(images), self.batch):
            some = images[start : start + self.batch]
            crops = np.stack([resize(i, size["height"], size["width"], size["interpolation"]) for i in some])
            with self._lock:
                found = self._run(crops)
            vectors[start : start + len(some)], visibility[start : start + len(some)] = found
        return Embedding(vectors, visibility, info.names, info.metric, info.weights)


def load_engine(model: Path | str, kind: str = "auto", threads: int | None = None) -> Engine:
    """Load a model to embed with.

    Args:
        model: a model file or the folder of a run; or an exported file (``.onnx``, ``.xml``), which needs no PyTorch.
        kind: "torch", "onnx", "openvino", or "auto": the fastest that is installed and agrees with PyTorch, measured
            once and remembered in the cache; on a machine with a GPU that PyTorch can use, "torch".
        threads: threads of one inference; all cores by default.

    Raises:
        CheckpointError: the model cannot be read, or disagrees with PyTorch when it is run so.
        MissingExtraError: what runs that kind is not installed.
        RecipeError: there is no such kind, or it cannot run such a file.
    """
    path = Path(model)
    if kind != "auto" and kind not in get_args(Kind):
        raise RecipeError(f"unknown engine {kind!r}; known: auto, {', '.join(get_args(Kind))}")
    if path.suffix in (".onnx", ".xml"):
        return _exported_engine(path, kind, threads)
    from unveil.export.choice import chosen_engine
    from unveil.models.checkpoint import load_model
    from unveil.models.device import pick_device

    device = pick_device("auto")
    trained = load_model(path, device)
    if kind == "torch" or (kind == "auto" and device.type != "cpu"):
        return torch_engine(trained, threads)
    return chosen_engine(load_model(path) if device.type != "cpu" else trained, cast(Any, kind), threads)


def torch_engine(model: TrainedModel, threads: int | None = None) -> Engine:
    """Return an engine that runs PyTorch, on the device of the model."""
    import torch

    from unveil.export.graph import Graph

    graph = Graph(model)
    if threads:
        torch.set_num_threads(threads)

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            vectors, visibility = graph(torch.from_numpy(crops).to(model.device))
        return vectors.cpu().numpy(), visibility.cpu().numpy()

    return Engine("torch", head_of(model), run)


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
    _must_exist(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or default_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # ONNX Runtime raises its own kinds, none of them public
        raise CheckpointError(f"{path}: not a model that ONNX Runtime can load: {_first_line(e)}") from None
    head = read_head(session.get_modelmeta().custom_metadata_map.get(KEY), str(path))

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors, visibility = session.run(["vectors", "visibility"], {"images": crops})
        return vectors, visibility

    return Engine("onnx", head, run)


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
    _must_exist(path)
    core = openvino.Core()
    # Left alone it computes in bfloat16 on CPUs that have it, and vectors change by some thousandths of their length.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads or default_threads()}
    try:
        graph = core.read_model(path)
        compiled = core.compile_model(graph, "CPU", settings)
    except Exception as e:  # OpenVINO raises RuntimeError with pages of its own source lines
        raise CheckpointError(f"{path}: not a model that OpenVINO can load: {_first_line(e)}") from None
    where = [KEY] if path.suffix == ".xml" else ["framework", KEY]
    head = read_head(str(graph.get_rt_info(where).value) if graph.has_rt_info(where) else None, str(path))
    request = compiled.create_infer_request()

    def run(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = request.infer({"images": crops}, share_inputs=True)
        return np.array(found["vectors"]), np.array(found["visibility"])

    return Engine("openvino", head, run)


def default_threads() -> int:
    """Return ``$OMP_NUM_THREADS`` where it is set, else the number of cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(asked)) if asked.isdecimal() else cores


def _exported_engine(path: Path, kind: str, threads: int | None) -> Engine:
    if kind == "torch" or (kind == "onnx" and path.suffix == ".xml"):
        raise RecipeError(f"{path} cannot be run by {kind}: name the model itself (.safetensors), or another engine")
    if kind != "auto":
        return {"onnx": onnx_engine, "openvino": openvino_engine}[kind](path, threads)
    try:
        return openvino_engine(path, threads)
    except MissingExtraError:
        if path.suffix == ".xml":
            raise
        return onnx_engine(path, threads)


def _must_exist(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"no model at {path}: `unveil export` makes such files")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
