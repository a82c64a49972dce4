from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest

from untrained import make_model
from unveil.errors import CheckpointError, UnveilError
from unveil.export.parity import TOLERANCE, check_parity, difference, test_crops
from unveil.export.write import write_graph
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.checked_export import export_model
from unveil.methods import METHODS
from unveil.methods.inference import embed_batches
from unveil.models.checkpoint import load_model
from unveil.records import Batch
from unveil.runtime.onnx_seal import LENGTH
from unveil.runtime.session import open_session

pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")
# Bins with hard borders: a colour on a border falls to either side by the last bit of a division.
HARD_BORDERS = ("histogram",)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_exports_and_agrees_with_pytorch(method, tmp_path, images):
    trained = load_model(make_model(tmp_path, method))
    metadata = write_graph(trained, tmp_path / "m.onnx")
    reference, exported = torch_engine(trained), onnx_engine(tmp_path / "m.onnx")
    assert exported.metadata == metadata
    assert check_parity(reference, exported).largest <= TOLERANCE
    # Another number of crops than it was traced with, and of any size.
    assert difference(reference.embed(images), exported.embed(images)).largest <= TOLERANCE
    assert bool(metadata.notes) == bool(trained.method.requirements.test_parsing)
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    try:
        assert check_parity(reference, openvino_engine(tmp_path / "m.onnx")).largest <= TOLERANCE
    except CheckpointError as e:
        assert method in HARD_BORDERS
        assert "does not agree with PyTorch" in str(e)


def test_the_graph_normalises_and_sees_the_mirrored_crop_as_evaluation_does(tmp_path):
    import torch

    from unveil.data.augment.pipeline import normalise

    trained = load_model(make_model(tmp_path, "cal"))
    assert trained.method.flip_test
    crops = np.stack(test_crops(trained.input, 3))
    batch = Batch(torch.from_numpy(crops).permute(0, 3, 1, 2), torch.full((3,), -1))
    expected = embed_batches(trained.method, [normalise(batch, trained.input)])
    assert difference(expected, torch_engine(trained).embed(list(crops))).largest < 1e-6
    once = embed_batches(trained.method, [normalise(batch, trained.input)], flip=False)
    assert difference(expected, once).largest > 0.01


def test_openvinos_files_hold_the_card_and_stand_alone(trained, tmp_path, images):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    metadata, found = export_model(trained, tmp_path / "m.xml", kind="openvino")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.bin", "m.xml"]
    engine = openvino_engine(tmp_path / "m.xml")
    assert engine.metadata == metadata
    assert engine.fingerprint == trained.card.fingerprint
    assert found.largest < 1e-4
    assert difference(torch_engine(trained).embed(images), engine.embed(images)).largest < 1e-4


def test_openvinos_weights_are_held_against_their_hash_where_the_graph_tells_one(trained, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    graph, weights = tmp_path / "m.xml", tmp_path / "m.bin"
    export_model(trained, graph, kind="openvino")
    spoiled = bytearray(weights.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    weights.write_bytes(spoiled)
    with pytest.raises(CheckpointError, match=r"m\.xml: its weights m\.bin are damaged or of another file"):
        openvino_engine(graph)
    told = hashlib.sha256(spoiled).hexdigest()
    graph.write_text(re.sub(r'(<unveil_weights_sha256 value=")\w+', rf"\g<1>{told}", graph.read_text()))
    openvino_engine(graph)
    graph.write_text(re.sub(r"<unveil_weights_sha256 [^>]+>", "", graph.read_text()))  # as older files are
    openvino_engine(graph)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_an_onnx_file_is_held_against_the_hash_at_its_end_where_it_has_one(trained, tmp_path, runtime):
    onnx = pytest.importorskip("onnx", reason="ONNX is not installed (extra onnx)")
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    graph = tmp_path / "m.onnx"
    export_model(trained, graph)
    sealed = graph.read_bytes()
    open_session(graph, runtime=runtime)
    weights = onnx.load(graph)
    largest = max(weights.graph.initializer, key=lambda tensor: len(tensor.raw_data)).raw_data
    spoiled = bytearray(sealed)
    spoiled[sealed.index(largest) + len(largest) // 2] ^= 1
    graph.write_bytes(spoiled)
    with pytest.raises(CheckpointError, match=r"m\.onnx: damaged, its SHA-256 differs"):
        open_session(graph, runtime=runtime)
    graph.write_bytes(spoiled[:-LENGTH])  # as older files are
    open_session(graph, runtime=runtime)
    onnx.checker.check_model(onnx.load_from_string(sealed))
    weights.producer_name = "another program"
    onnx.save(weights, graph)  # which writes the hash with the other metadata, where it is that of no file
    open_session(graph, runtime=runtime)
    graph.write_bytes(sealed[:LENGTH])  # hardly a file
    with pytest.raises(CheckpointError):
        open_session(graph, runtime=runtime)


def test_a_graph_that_disagrees_is_refused_and_what_was_there_stays(trained, tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"before")
    with pytest.raises(CheckpointError, match=r"does not agree with PyTorch.*at most 1e-12"):
        export_model(trained, tmp_path / "m.onnx", tolerance=1e-12)
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_bytes() == b"before"


def test_another_models_graph_is_no_match(graph, tmp_path):
    other = load_model(make_model(tmp_path, seed=1))
    with pytest.raises(CheckpointError, match="does not agree"):
        check_parity(torch_engine(other), onnx_engine(graph))


def test_a_wrong_ending_is_refused(trained, tmp_path):
    with pytest.raises(UnveilError, match=r"ends in \.onnx"):
        export_model(trained, tmp_path / "m.bin", kind="onnx")


def test_foreign_newer_and_damaged_files_are_refused(graph, tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "m.onnx"
    with pytest.raises(CheckpointError, match="unveil export"):
        onnx_engine(path)
    whole = graph.read_bytes()
    path.write_bytes(whole[:1000])
    with pytest.raises(CheckpointError, match="not a model that ONNX Runtime can load"):
        onnx_engine(path)
    proto = onnx.load_from_string(whole)
    proto.metadata_props[0].value = json.dumps(json.loads(proto.metadata_props[0].value) | {"format": 99})
    onnx.save(proto, str(path))
    with pytest.raises(CheckpointError, match="format 99 by a newer unveil"):
        onnx_engine(path)
    del proto.metadata_props[:]
    onnx.save(proto, str(path))
    with pytest.raises(CheckpointError, match="holds no card"):
        onnx_engine(path)
