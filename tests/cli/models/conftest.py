"""A published model on a local server, a folder of installed models, and people to look for."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from external import HEIGHT, WIDTH
from file_server import serve_files
from runtime.graphs import mean_colours
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.entry import KnownModel, PublishedFile
from unveil.models.catalogue.known import KNOWN

CARD = {"height": HEIGHT, "width": WIDTH, "metric": "cosine"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNVEIL_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("UNVEIL_OFFLINE", raising=False)
    return tmp_path / "models"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A published model "colours" on a local server, which stands in for its publisher as a mirror."""
    content = mean_colours(tmp_path / "colours.onnx", shape=("n", 3, HEIGHT, WIDTH)).read_bytes()
    digest = Digest("sha384", hashlib.sha384(content).hexdigest())
    file = PublishedFile("https://publisher.test/v1/colours.onnx", len(content), digest, "colours.onnx")
    model = KnownModel("colours", "reid", "mean colours", (file,), CARD, "Apache-2.0", "https://publisher.test")
    monkeypatch.setitem(KNOWN, "colours", model)
    with serve_files() as server:
        server.files["/publisher.test/v1/colours.onnx"] = content
        monkeypatch.setenv("UNVEIL_MIRROR", server.address)
        yield server


@pytest.fixture
def people(tmp_path):
    (tmp_path / "people").mkdir()
    for name, colour in (("red", (200, 10, 10)), ("green", (10, 200, 10)), ("dark_red", (90, 5, 5))):
        Image.fromarray(np.full((40, 20, 3), colour, np.uint8)).save(tmp_path / "people" / f"{name}.png")
    return tmp_path / "people"
