from __future__ import annotations

from pathlib import Path

import pytest

from untrained import make_model
from unveil.inference.engine import Engine
from unveil.inference.load import load_engine


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), height=64, width=32)


@pytest.fixture(scope="session")
def engine(model) -> Engine:
    return load_engine(model, "torch")
