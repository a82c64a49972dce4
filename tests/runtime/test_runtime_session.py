"""Graphs are opened and run the same by both runtimes; what cannot be run is one error that says why."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runtime.graphs import as_openvino, mean_colours
from unveil.errors import CheckpointError, MissingExtraError, RecipeError
from unveil.runtime.session import open_session

IMAGES = np.arange(2 * 3 * 4 * 2, dtype=np.float32).reshape(2, 3, 4, 2)
MEANS = IMAGES.mean(axis=(2, 3))


@pytest.fixture
def graph(tmp_path):
    return mean_colours(tmp_path / "m.onnx", metadata={"unveil": '{"a": 1}'})


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_both_runtimes_say_and_give_the_same(graph, runtime):
    session = open_session(graph, 1, runtime=runtime)
    assert session.runtime == runtime
    assert str(session.input(None)) == "images (?, 3, ?, ?) float32"
    assert str(session.output("vectors")) == "vectors (?, 3) float32"
    assert session.metadata == {"unveil": '{"a": 1}'}
    assert np.allclose(session.run({"images": IMAGES})[0], MEANS)


def test_an_ir_file_is_run_by_openvino(graph):
    session = open_session(as_openvino(graph), 1)
    assert session.runtime == "openvino" and np.allclose(session.run({"images": IMAGES}, ["vectors"])[0], MEANS)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_answers_of_threads_do_not_mix(graph, runtime):
    session = open_session(graph, 1, runtime=runtime)
    inputs = [np.full((1, 3, 8, 8), k, np.float32) for k in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda x: session.run({"images": x})[0][0, 0], inputs))
    assert found == list(range(64))


def test_a_fixed_batch_can_be_opened_for_any(tmp_path):
    path = mean_colours(tmp_path / "m.onnx", shape=(1, 3, 4, 2))
    with pytest.raises(CheckpointError, match=r"takes images \(1, 3, 4, 2\) float32 and refuses images \(2, 3, 4, 2\)"):
        open_session(path, 1, runtime="openvino").run({"images": IMAGES})
    session = open_session(path, 1, runtime="openvino", any_batch=True)
    assert session.input(None).shape[0] is None and np.allclose(session.run({"images": IMAGES})[0], MEANS)
    assert open_session(path, 1, runtime="onnx", any_batch=True).input(None).shape[0] == 1


def test_what_cannot_be_opened_is_said(graph, tmp_path, monkeypatch):
    xml = as_openvino(graph)
    with pytest.raises(RecipeError, match="known: auto, onnx, openvino"):
        open_session(graph, runtime="tensorrt")
    with pytest.raises(RecipeError, match="ONNX Runtime cannot run it"):
        open_session(xml, runtime="onnx")
    xml.with_suffix(".bin").unlink()
    with pytest.raises(CheckpointError, match=r"m\.bin are missing"):
        open_session(xml)
    for name, match in (("no.onnx", "no model at"), ("m.pdf", r"ending in \.onnx or \.xml")):
        with pytest.raises(CheckpointError, match=match):
            open_session(tmp_path / name)
    (tmp_path / "bad.xml").write_text("<html>")
    (tmp_path / "bad.bin").touch()
    (tmp_path / "bad.onnx").write_bytes(b"<html>")
    with pytest.raises(CheckpointError, match="OpenVINO can load: it has no <net>"):
        open_session(tmp_path / "bad.xml")
    with pytest.raises(CheckpointError, match="not a model that ONNX Runtime can load"):
        open_session(tmp_path / "bad.onnx")
    with pytest.raises(CheckpointError, match="no output 'x'; it has vectors"):
        open_session(graph).output("x")
    with pytest.raises(CheckpointError, match="no input 'x'; it has images"):
        open_session(graph).input("x")


def test_whichever_runtime_is_there_runs_an_onnx_file(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert open_session(graph).runtime == "openvino"
    with pytest.raises(MissingExtraError, match=r"unveil\[onnx\]"):
        open_session(graph, runtime="onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[onnx\]"):
        open_session(graph)
