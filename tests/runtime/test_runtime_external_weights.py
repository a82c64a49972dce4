"""Weights of an ONNX file that lie in another file: they are found wherever they stand, and refused."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from runtime.graphs import mean_colours, save_graph, with_external_weights
from unveil.errors import CheckpointError
from unveil.runtime.external_weights import DATA_LOCATION, EXTERNAL, MESSAGES, has_external_weights
from unveil.runtime.graph import model_files


def test_the_fields_are_those_of_onnx():
    known = {*MESSAGES, "TensorProto"}
    for message, fields in MESSAGES.items():
        described = getattr(onnx, message).DESCRIPTOR.fields
        inner = {f.number: f.message_type.name for f in described if f.message_type and f.message_type.name in known}
        assert inner == dict(fields)
    assert (onnx.TensorProto.DATA_LOCATION_FIELD_NUMBER, onnx.TensorProto.EXTERNAL) == (DATA_LOCATION, EXTERNAL)


def test_retrained_weights_in_a_second_file_are_refused_and_in_one_file_taken(tmp_path):
    graphs = []
    for seed in (0, 1):
        path = with_external_weights(tmp_path / str(seed) / "m.onnx", seed=seed)
        graphs.append(path.read_bytes())
        assert path.with_name("m.onnx.data").is_file() and has_external_weights(path)
        with pytest.raises(CheckpointError, match=r"m\.onnx: has weights in other files; save it as one file: "):
            model_files(path)
        onnx.save(onnx.load(path), tmp_path / "one.onnx")
        assert model_files(tmp_path / "one.onnx") == (tmp_path / "one.onnx",)
    assert graphs[0] == graphs[1]  # why a hash of the first file alone tells nothing


def test_weights_of_a_node_are_found(tmp_path):
    outside = helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0])
    node = helper.make_node("Constant", [], ["out"], value=outside)
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    path = save_graph(tmp_path / "node.onnx", [node], [], [output])
    assert not has_external_weights(path)
    model = onnx.load(path)
    model.graph.node[0].attribute[0].t.data_location = TensorProto.EXTERNAL
    path.write_bytes(model.SerializeToString())
    assert has_external_weights(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"no model at all", b"\x3a\x7f\x0a"])
def test_what_is_no_onnx_file_is_left_to_what_runs_it(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    assert not has_external_weights(tmp_path / "m.onnx")


def test_a_cut_file_is_left_to_what_runs_it(tmp_path):
    whole = mean_colours(tmp_path / "m.onnx").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        assert not has_external_weights(tmp_path / "cut.onnx")
