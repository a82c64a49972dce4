from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from typer.testing import CliRunner

from untrained import make_model
from unveil.errors import CheckpointError, RecipeError, UnveilError
from unveil.export.parity import TOLERANCE, difference
from unveil.inference import cached_graph, choice
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.engine import Engine
from unveil.inference.load import load_embedder, load_engine
from unveil.inference.remembered import folder_of
from unveil.models.checkpoint import TrainedModel, load_model, write_model
from unveil.models.embed import embed_samples
from unveil.records import Sample
from unveil.runtime.onnx_seal import seal

pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")


def test_an_engine_gives_what_unveil_embed_gives(saved, trained, images, tmp_path):
    from PIL import Image

    samples = []
    for n, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{n}.png")
        samples.append(Sample(f"{n}", tmp_path / f"{n}.png"))
    expected, _ = embed_samples(trained, samples, cache=tmp_path / "store")
    for kind in ("torch", "onnx"):
        assert difference(expected, load_engine(saved, kind).embed(images)).largest < 1e-5


def test_auto_is_measured_once_and_remembered(tmp_path, images, caplog):
    saved = make_model(tmp_path, seed=8)  # that no other test has had measured
    trained = load_model(saved)
    with caplog.at_level(logging.INFO, "unveil.inference.choice"):
        first = load_engine(saved.parent)
        assert "crops per second" in caplog.text
        caplog.clear()
        second = load_engine(saved)
        assert "crops per second" not in caplog.text
    assert first.kind == second.kind
    assert first.fingerprint == trained.card.fingerprint
    assert (first.space_info.names, first.space_info.dimension, first.space_info.metric) == (("global",), 256, "cosine")
    assert first.space_info.input["height"] == 128
    assert difference(torch_engine(trained).embed(images), second.embed(images)).largest < 1e-4


def test_many_crops_are_embedded_by_the_engine_of_galleries_and_few_by_pytorch(saved, trained, tmp_path, monkeypatch):
    chosen = load_engine(saved)  # the graph is there from now on, and the choice is remembered
    found = load_embedder(saved, crops=choice.MIN_CROPS_WHEN_MADE)
    assert isinstance(found, Engine) and found.kind == chosen.kind
    assert isinstance(load_embedder(saved, crops=choice.MIN_CROPS_WHEN_MADE - 1), TrainedModel)
    assert isinstance(load_embedder(saved, "torch", crops=choice.MIN_CROPS), TrainedModel)
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path))
    assert isinstance(load_embedder(saved, crops=choice.MIN_CROPS - 1), TrainedModel)
    assert choice.pays(trained, choice.MIN_CROPS) and not choice.pays(trained, choice.MIN_CROPS - 1)


def test_a_model_that_looks_at_parsing_maps_is_run_by_pytorch_however_many_crops(tmp_path, monkeypatch):
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path))
    model = make_model(tmp_path, "cre")
    assert load_model(model).test_parsing is not None
    assert isinstance(load_embedder(model, crops=10 * choice.MIN_CROPS), TrainedModel)


def test_a_damaged_cache_is_made_again(saved, trained, images):
    load_engine(saved, "onnx")
    file = folder_of(trained.card.fingerprint) / choice.graph_name()
    file.write_bytes(file.read_bytes()[:5000])
    (file.parent / "engines.json").write_text("{")
    engine = load_engine(saved, "onnx")
    assert engine.name == trained.name  # and not that of the file in the cache
    assert difference(torch_engine(trained).embed(images), engine.embed(images)).largest < 1e-4


@pytest.mark.parametrize("fails", ["folder", "note"])
def test_a_cache_that_cannot_be_written_leaves_a_model_to_pytorch(saved, monkeypatch, tmp_path, caplog, fails):
    def refuse(*_):
        raise UnveilError("cannot write: No space left on device")

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / ("file" if fails == "folder" else "cache")))
    if fails == "note":
        monkeypatch.setattr(choice.remembered, "write_text", refuse)
    assert load_engine(saved).kind == "torch" and "PyTorch runs the model" in caplog.text
    assert load_embedder(saved, crops=choice.MIN_CROPS).kind == "torch"
    with pytest.raises(UnveilError, match="cannot write"):
        load_engine(saved, "onnx")


def test_a_graph_of_other_code_is_not_run(saved, trained):
    load_engine(saved, "onnx")
    folder = folder_of(trained.card.fingerprint)
    (folder / choice.graph_name()).rename(folder / "model-1-older.onnx")
    load_engine(saved, "onnx")
    assert [path.name for path in folder.glob("*.onnx")] == [choice.graph_name()]


def test_after_an_upgrade_all_engines_are_checked_and_measured_again(tmp_path, caplog, monkeypatch):
    weights = make_model(tmp_path / "run", seed=7)  # whose graphs no other test uses, as they are replaced
    load_engine(weights)
    older = choice.graph_name()
    for module in (choice, cached_graph):
        monkeypatch.setattr(module, "graph_name", lambda: older.replace("model-", "model-9"))
    with caplog.at_level(logging.INFO, "unveil.inference.choice"):
        load_engine(weights)
    assert "crops per second" in caplog.text
    known = json.loads((folder_of(load_model(weights).card.fingerprint) / "engines.json").read_text())
    graph = folder_of(load_model(weights).card.fingerprint) / choice.graph_name()
    # One crop is run by ONNX Runtime, which opens sooner, only where it has agreed on this very graph.
    assert known[cached_graph.parity_key("onnx", graph)] <= TOLERANCE


def test_an_engine_that_disagrees_is_left_out_of_the_choice(saved, trained, caplog, monkeypatch, tmp_path):
    """The cached graph is another model's with this one's card: only the comparison can tell."""
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path))  # others share the cache of the run, and its graphs
    load_engine(saved, "onnx")
    file = folder_of(trained.card.fingerprint) / choice.graph_name()
    proto = onnx.load(str(file))
    for tensor in proto.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values[::-1].copy(), tensor.name))
            break
    del proto.metadata_props[-1]  # the hash of what it was
    onnx.save(proto, str(file))
    seal(file)
    (file.parent / "engines.json").unlink()
    with pytest.raises(CheckpointError, match="does not agree with PyTorch"):
        load_engine(saved, "onnx")
    assert load_engine(saved).kind == "torch"
    assert "left out" in caplog.text


def test_weights_that_are_not_finite_are_run_by_no_graph(tmp_path, images, monkeypatch, caplog):
    """A runtime may clamp NaN to a number: the graph would answer as if nothing were wrong."""
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    sound = load_model(make_model(tmp_path / "sound"))
    tensors = {name: tensor.clone() for name, tensor in sound.method.state_dict().items()}
    next(tensor for tensor in tensors.values() if tensor.ndim == 4)[:] = np.nan
    write_model(tmp_path / "damaged.safetensors", tensors, card=sound.card)
    engine = load_engine(tmp_path / "damaged.safetensors")
    assert engine.kind == "torch" and not engine.embed(images).is_finite
    assert "gives numbers that are not finite" in caplog.text


def test_many_threads_get_their_own_crops(saved, images):
    engine = load_engine(saved, "onnx")
    alone = [engine.embed([image]).vectors for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: engine.embed([images[n % 3]]).vectors, range(24)))
    for n, vectors in enumerate(found):
        np.testing.assert_allclose(vectors, alone[n % 3], rtol=1e-4, atol=1e-5)


def test_no_images_and_more_than_a_batch(saved, trained, images):
    engine = torch_engine(trained)
    assert engine.embed([]).vectors.shape == (0, 1, 256)
    engine.batch = 2
    np.testing.assert_allclose(engine.embed(images).vectors[2], engine.embed(images[2:]).vectors[0], rtol=1e-5)


def test_what_is_no_image_is_refused(trained):
    engine = torch_engine(trained)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"image 0: expected \(H, W, 3\) uint8"):
            engine.embed([wrong])


def test_an_exported_file_runs_alone_and_unknown_kinds_are_named(saved, trained, graph, images, tmp_path):
    engine = load_engine(graph)
    assert engine.fingerprint == trained.card.fingerprint
    assert difference(torch_engine(trained).embed(images), engine.embed(images)).largest < 1e-4
    with pytest.raises(RecipeError, match="cannot be run by torch"):
        load_engine(graph, "torch")
    with pytest.raises(RecipeError, match="unknown engine 'fast'"):
        load_engine(saved, "fast")
    with pytest.raises(CheckpointError, match="no model at"):
        load_engine(tmp_path / "none.onnx")


def test_the_command_writes_a_checked_file_and_says_so(saved, tmp_path):
    from unveil.cli import app

    done = CliRunner().invoke(app, ["-q", "export", str(saved), "--out", str(tmp_path / "m.onnx"), "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["difference"] < 1e-4
    assert load_engine(tmp_path / "m.onnx", "onnx").fingerprint == said["fingerprint"]


@pytest.mark.parametrize("exported", [False, True])
def test_a_model_of_another_fingerprint_is_refused_whatever_it_is(saved, trained, graph, exported):
    seen = []
    load_engine(graph if exported else saved, "onnx", check=seen.append)
    assert seen and set(seen) == {trained.card.fingerprint}

    def refuse(fingerprint):
        raise CheckpointError(f"not {fingerprint}")

    with pytest.raises(CheckpointError, match=f"not {trained.card.fingerprint}"):
        load_engine(graph if exported else saved, "onnx", check=refuse)
