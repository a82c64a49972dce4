"""ImageNet starts in the catalogue of the command line."""

from __future__ import annotations

import hashlib
import json

import pytest
from typer.testing import CliRunner

from file_server import serve_files
from unveil.cli import app
from unveil.models.catalogue.digest import Digest
from unveil.models.catalogue.starts import STARTS, PublishedStart

CONTENT = b"weights" * 1000


@pytest.fixture
def published(monkeypatch, tmp_path):
    name = f"resnet18-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"
    address = f"https://publisher.test/{name}"
    monkeypatch.setitem(STARTS, "resnet18", (PublishedStart(name, address, "BSD-3-Clause", Digest.in_name(name)),))
    monkeypatch.setenv("UNVEIL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("UNVEIL_OFFLINE", raising=False)
    with serve_files() as server:
        server.files[f"/publisher.test/{name}"] = CONTENT
        monkeypatch.setenv("UNVEIL_MIRROR", server.address)
        yield tmp_path / "weights" / name


def rows():
    listed = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    return {row["name"]: row for row in listed}


def test_starts_are_listed_and_fetched_before_they_are_needed(published):
    assert rows()["imagenet:resnet18"]["state"] == "known" and rows()["imagenet:osnet_x1_0"]["state"] == "by hand"
    assert {f"imagenet:{backbone}" for backbone in STARTS} <= set(rows())
    result = CliRunner().invoke(app, ["models", "get", "imagenet:resnet18"])
    assert result.exit_code == 0 and result.stdout.strip() == str(published)
    assert published.read_bytes() == CONTENT
    row = rows()["imagenet:resnet18"]
    assert (row["state"], row["bytes"], row["licence"]) == ("installed", len(CONTENT), "BSD-3-Clause")
    shown = CliRunner().invoke(app, ["models", "list"], env={"COLUMNS": "300"}).stdout
    assert "imagenet:resnet18" in shown
