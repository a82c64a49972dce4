"""A model whose graph was made and checked before is run without PyTorch, as long as nothing has changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from untrained import make_model
from unveil.inference import cached_graph
from unveil.inference.cached_graph import auto_key, cached_engine, graph_name, may_have_gpu
from unveil.inference.load import load_engine
from unveil.inference.remembered import folder_of
from unveil.models.checkpoint import load_model
from unveil.models.locate import locate
from unveil.runtime.graph import default_threads

pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")
SEARCH = """
import sys
import unveil.cli.search.command
import unveil.cli.search.in_gallery
from unveil.inference.load import load_engine
import numpy as np
engine = load_engine(sys.argv[1], crops=1)
engine.embed([np.zeros((50, 20, 3), np.uint8)])
print(engine.kind, engine.name, engine.fingerprint, "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A folder with the weights of a run, and with a cache that has its graph, checked; OpenVINO is the fastest."""
    folder = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNVEIL_CACHE", str(folder / "cache"))
        weights = make_model(folder / "first")
        for kind in ("onnx", "openvino"):
            load_engine(weights, kind)
        remember(weights, **{auto_key(default_threads()): "openvino"})
    return folder


@pytest.fixture
def run(checked, tmp_path, monkeypatch):
    """The weights of that run, for one test."""
    shutil.copytree(checked, tmp_path / "own")
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "own" / "cache"))
    monkeypatch.setattr(cached_graph, "may_have_gpu", lambda: False)
    return tmp_path / "own" / "first" / "model.safetensors"


def remember(weights, **entries):
    file = folder_of(load_model(weights).card.fingerprint) / "engines.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def of(weights, kind="auto", **more):
    return cached_engine(locate(weights), kind, threads=default_threads(), **more)


def test_the_choice_is_kept_and_few_crops_take_what_opens_sooner(run):
    assert of(run).kind == "openvino" and of(run, few=True).kind == "onnx" and of(run, "onnx").kind == "onnx"
    crops = [np.random.default_rng(1).integers(0, 256, (90, 40, 3), np.uint8)]
    expected = load_engine(run, "torch")
    for engine in (of(run), load_engine(run, crops=1)):
        assert (engine.name, engine.fingerprint) == (load_model(run).name, expected.fingerprint)
        assert np.allclose(engine.embed(crops).vectors, expected.embed(crops).vectors, atol=1e-4)


@pytest.mark.skipif(may_have_gpu(), reason="PyTorch is asked whether it can use the GPU")
def test_a_search_imports_no_pytorch(run):
    said = subprocess.run([sys.executable, "-c", SEARCH, run], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["onnx", load_model(run).name, load_model(run).card.fingerprint, "False"]


def test_pytorch_is_asked_wherever_something_is_not_known(run, monkeypatch):
    folder = folder_of(load_model(run).card.fingerprint)
    assert (
        cached_engine(locate(run), "auto", threads=default_threads() + 1) is None
    )  # never measured with so many threads
    graph = folder / graph_name()
    content = graph.read_bytes()
    graph.write_bytes(content)  # written again: it has to be compared again
    assert of(run) is None
    graph.unlink()
    assert of(run) is None and load_engine(run, "onnx").kind == "onnx"
    remember(run, **{auto_key(default_threads()): "torch"})
    assert of(run) is None
    monkeypatch.setattr(cached_graph, "may_have_gpu", lambda: True)
    assert of(run, "onnx") is None


@pytest.mark.parametrize("module", ["data/augment/pipeline.py", "records/embedding.py", "nn/neck.py"])
def test_a_graph_is_named_after_all_code_that_it_was_made_of(tmp_path, monkeypatch, module):
    package = Path(cached_graph.__file__).parents[1]
    for name in (*cached_graph.FOLDERS_IN_GRAPH, *cached_graph.MODULES_IN_GRAPH, "inference/cached_graph.py"):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (package / name).is_dir() else shutil.copy)(package / name, copy)
    monkeypatch.setattr(cached_graph, "__file__", str(tmp_path / "inference/cached_graph.py"))
    before = graph_name.__wrapped__()
    assert before == graph_name()
    with (tmp_path / module).open("a") as file:
        file.write("# changed\n")
    assert graph_name.__wrapped__() != before


def test_damaged_weights_are_left_to_whoever_loads_them(run):
    for content in (b"", b"{}", (2**40).to_bytes(8, "little"), (2).to_bytes(8, "little") + b"{}"):
        run.write_bytes(content)
        assert of(run) is None
