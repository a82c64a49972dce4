from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from untrained import make_model
from unveil.export.write import write_graph
from unveil.models.checkpoint import load_model


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def trained(saved):
    return load_model(saved)


@pytest.fixture(scope="session")
def graph(trained, tmp_path_factory) -> Path:
    """The model as an ONNX file, written once: that takes the exporter seconds."""
    pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")
    target = tmp_path_factory.mktemp("graph") / "model.onnx"
    write_graph(trained, target)
    return target


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((200, 90), (128, 64), (61, 33))]
