"""A small model, crops, and what one process makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import run
from generated import write_crops
from untrained import make_model

pytest.importorskip("pyarrow", reason="the extra ray is not installed")


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small untrained model."""
    return make_model(tmp_path_factory.mktemp("model"), height=64, width=32)


@pytest.fixture(scope="package")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 240 crops, one of which cannot be read."""
    manifest = write_crops(tmp_path_factory.mktemp("many"), people=40, test_people=6)
    (manifest.parent / "images/p07_c1_2.png").write_bytes(b"no image")
    return manifest


@pytest.fixture(scope="package")
def plain(model: Path, crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of embeddings that one process wrote."""
    out = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    run("embed", model, crops, "--out", out, code=1)
    return out
