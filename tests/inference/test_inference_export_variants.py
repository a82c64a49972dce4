"""Fixed batches, opsets, float input and rounded graphs: each is run and compared with PyTorch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from generated import figure, write_crops
from untrained import make_model
from unveil.cli import app
from unveil.errors import CheckpointError, DataError, RecipeError, UnveilError
from unveil.export.parity import difference, test_crops
from unveil.export.variant import TOLERANCES, Variant
from unveil.export.write import write_graph, write_openvino
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.checked_export import export_model
from unveil.inference.load import load_engine
from unveil.models.checkpoint import load_model
from unveil.nn.colour_histogram import COLOURS
from unveil.runtime.openvino_graph import computes_bfloat16

onnx = pytest.importorskip("onnx", reason="ONNX is not installed (extra export)")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (extra onnx)")
pytest.importorskip("onnxscript", reason="the exporter of PyTorch is not installed (extra export)")


def people(count: int) -> list[np.ndarray]:
    return [figure(n, n % 2, n, 128, 64) for n in range(count)]


def test_a_fixed_batch_of_float_planes_in_an_older_opset(trained, tmp_path, images):
    target = tmp_path / "m.onnx"
    metadata, found = export_model(trained, target, variant=Variant(3, 18, "nchw-float"))
    assert found.largest <= TOLERANCES["float32"] and metadata.fingerprint == trained.card.fingerprint
    proto = onnx.load(target)
    assert {entry.domain: entry.version for entry in proto.opset_import}[""] == 18
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    assert (port.shape, port.type) == ([3, 3, 128, 64], "tensor(float)")
    # As somebody else would run it, and as this package does: five crops are two batches, none of them full.
    crops = test_crops(trained.crop_size, 5)
    planes = np.stack(crops[:3]).transpose(0, 3, 1, 2).astype(np.float32)
    expected = torch_engine(trained).embed(crops)
    np.testing.assert_allclose(session.run(["vectors"], {"images": planes})[0], expected.vectors[:3], atol=1e-3)
    assert difference(expected, load_engine(target).embed(crops)).largest <= TOLERANCES["float32"]


def test_colours_are_the_same_in_every_engine(tmp_path):
    trained = load_model(make_model(tmp_path, "dual", settings=[f"method.colour_dim={COLOURS}"]))
    _, found = export_model(trained, tmp_path / "m.onnx")
    assert found.largest <= TOLERANCES["float32"]
    black, grey = np.zeros((128, 64, 3), np.uint8), np.full((128, 64, 3), 90, np.uint8)
    crops = [*people(4), black, grey]
    expected = torch_engine(trained).embed(crops)
    assert expected.names[2] == "colours" and len({row.tobytes() for row in expected.vectors[:, 2]}) == 6
    assert difference(expected, load_engine(tmp_path / "m.onnx").embed(crops)).largest <= TOLERANCES["float32"]
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    assert difference(expected, openvino_engine(tmp_path / "m.onnx").embed(crops)).largest <= TOLERANCES["float32"]


def test_half_precision_is_half_the_size_and_a_model_of_its_own(trained, tmp_path):
    half = tmp_path / "half.onnx"
    metadata, found = export_model(trained, half, variant=Variant(precision="float16"))
    assert 1e-6 < found.vectors <= TOLERANCES["float16"]
    single = sum(p.numel() * 4 for p in trained.method.backbone.parameters())
    assert half.stat().st_size < 0.6 * single
    engine = load_engine(half, "onnx")
    assert engine.fingerprint == metadata.fingerprint != trained.card.fingerprint
    assert "float16" in metadata.notes[-1]
    vino = pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    assert vino
    export_model(trained, tmp_path / "half.xml", kind="openvino", variant=Variant(precision="float16"))
    assert (tmp_path / "half.bin").stat().st_size < 0.6 * single
    assert load_engine(tmp_path / "half.xml").fingerprint == metadata.fingerprint


def test_bfloat16_is_for_openvino_on_processors_that_compute_in_it(trained, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    if not computes_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    target = tmp_path / "m.xml"
    metadata, found = export_model(trained, target, kind="openvino", variant=Variant(precision="bfloat16"))
    assert 1e-3 < found.vectors <= TOLERANCES["bfloat16"]
    assert "bfloat16" in metadata.notes[-1] and metadata.fingerprint != trained.card.fingerprint
    assert (tmp_path / "m.bin").stat().st_size < 0.6 * sum(p.numel() * 4 for p in trained.method.backbone.parameters())
    engine = load_engine(target)
    unseen = [figure(90 + n, 0, n, 128, 64) for n in range(6)]
    # Many at a time too, which is compiled apart.
    assert 1e-3 < difference(torch_engine(trained).embed(unseen), engine.embed(unseen)).vectors <= 0.1
    assert engine.fingerprint == metadata.fingerprint


def test_bfloat16_is_refused_where_it_could_not_be_checked(trained, tmp_path, monkeypatch, caplog):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    with pytest.raises(UnveilError, match="bfloat16 is for OpenVINO"):
        export_model(trained, tmp_path / "m.onnx", variant=Variant(precision="bfloat16"))
    monkeypatch.setattr("unveil.runtime.openvino_graph._has_bfloat16", lambda core: False)
    with pytest.raises(UnveilError, match="does not compute in bfloat16, so such a graph cannot be checked here"):
        export_model(trained, tmp_path / "m.xml", kind="openvino", variant=Variant(precision="bfloat16"))
    assert list(tmp_path.iterdir()) == []
    # A graph that came from another machine runs all the same.
    metadata = write_graph(trained, tmp_path / "m.onnx", variant=Variant(precision="bfloat16"))
    engine = load_engine(write_openvino(tmp_path / "m.onnx", metadata, precision="bfloat16"))
    crops = people(2)
    assert difference(torch_engine(trained).embed(crops), engine.embed(crops)).vectors < 1e-2
    assert "this one does not: float32" in caplog.text


def test_eight_bits_are_calibrated_on_crops_and_compared_on_others(trained, tmp_path):
    target = tmp_path / "m.onnx"
    metadata, found = export_model(trained, target, variant=Variant(precision="int8"), crops=people(32))
    assert 1e-3 < found.vectors <= TOLERANCES["int8"]
    kinds = {node.op_type for node in onnx.load(target).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert target.stat().st_size < 0.35 * sum(p.numel() * 4 for p in trained.method.backbone.parameters())
    unseen = [figure(90 + n, 0, n, 128, 64) for n in range(6)]
    engine = load_engine(target, "onnx")
    assert difference(torch_engine(trained).embed(unseen), engine.embed(unseen)).vectors <= TOLERANCES["int8"]
    other = {Variant(precision="int8").fingerprint(trained.card.fingerprint, ranges) for ranges in ("some", "others")}
    assert len({metadata.fingerprint, trained.card.fingerprint, *other}) == 4


def test_eight_bits_for_openvino_are_a_quarter_of_the_size_and_agree(trained, tmp_path):
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    metadata, found = export_model(
        trained, tmp_path / "m.xml", kind="openvino", variant=Variant(precision="int8"), crops=people(32)
    )
    assert 1e-3 < found.vectors <= TOLERANCES["int8"]
    assert 'type="FakeQuantize"' in (tmp_path / "m.xml").read_text()
    assert (tmp_path / "m.bin").stat().st_size < 0.35 * sum(p.numel() * 4 for p in trained.method.backbone.parameters())
    engine = load_engine(tmp_path / "m.xml")
    assert engine.kind == "openvino" and engine.fingerprint == metadata.fingerprint != trained.card.fingerprint
    unseen = [figure(90 + n, 0, n, 128, 64) for n in range(6)]
    assert difference(torch_engine(trained).embed(unseen), engine.embed(unseen)).vectors <= TOLERANCES["int8"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.bin", "m.xml"]


def test_a_graph_beyond_its_loss_of_map_is_not_written(saved, tmp_path):
    target = tmp_path / "m.onnx"
    manifest = write_crops(tmp_path / "crops")
    words = ["-q", "export", str(saved), "--precision", "int8", "--calibrate", str(manifest), "--out", str(target)]
    words += ["--evaluate", f"manifest:{manifest}", "--json"]
    refused = CliRunner().invoke(app, [*words, "--max-loss", "-100"])  # no graph gains that much
    assert isinstance(refused.exception, CheckpointError) and "points of mAP" in str(refused.exception)
    assert not list(tmp_path.glob("m*"))
    done = CliRunner().invoke(app, [*words, "--max-loss", "100"])
    assert not done.exit_code, done.output
    said = json.loads(done.stdout)
    assert target.is_file() and said["variant"]["precision"] == "int8"
    assert said["map"] and all(0 < row["after"] <= 1 and 0 < row["before"] <= 1 for row in said["map"])


def test_what_cannot_be_is_refused_before_anything_is_written(trained, tmp_path):
    for values in ({"batch": 0}, {"batch": 5000}, {"opset": 9}, {"layout": "hwc"}, {"precision": "int4"}):
        with pytest.raises(RecipeError, match=str(next(iter(values.values())))):
            Variant(**values)
    with pytest.raises(DataError, match="at least 16 crops"):
        export_model(trained, tmp_path / "m.onnx", variant=Variant(precision="int8"), crops=people(3))
    with pytest.raises(DataError, match="float32 takes none"):
        export_model(trained, tmp_path / "m.onnx", crops=people(16))
    assert not list(tmp_path.iterdir())
