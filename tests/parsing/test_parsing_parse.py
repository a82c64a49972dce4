"""Parsing a dataset into the tree, with a stub parser; cards; and a tiny ONNX model where ONNX is installed."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from runtime.graphs import as_openvino
from unveil.data.parsing_tree import attach_parsing, parsing_path
from unveil.errors import CheckpointError, DataError, MissingExtraError, UnveilError
from unveil.label_sets import PASCAL7
from unveil.parsing.card import read_card
from unveil.parsing.check import check_parsing
from unveil.parsing.onnx_parser import OnnxParser
from unveil.parsing.parse import parse_dataset
from unveil.records import Dataset, Sample


class Brightness:
    """Label 2 where a crop is bright; counts the crops that it saw."""

    scheme = PASCAL7

    def __init__(self, fingerprint="stub@1"):
        self.fingerprint = fingerprint
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        return [np.where(image[..., 0] > 128, 2, 0).astype(np.uint8) for image in images]


@pytest.fixture
def dataset(tmp_path):
    samples = []
    for i in range(7):
        pixels = np.zeros((8 + i, 4, 3), np.uint8)
        pixels[: i + 1] = 255
        path = tmp_path / f"images/{i % 2}/c{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        samples.append(Sample(f"images/{i % 2}/c{i}.png", path, person=str(i)))
    return Dataset("tiny", tuple(samples))


def test_the_tree_mirrors_the_dataset_at_native_size_and_goes_on(tmp_path, dataset):
    parser = Brightness()
    report = parse_dataset(dataset, parser, root=tmp_path / "out", batch=3)
    assert (report.written, report.kept, parser.seen) == (7, 0, 7)
    attached, share = attach_parsing(dataset, tmp_path / "out")
    assert not share.missing and check_parsing(attached) == []
    labels = np.asarray(Image.open(parsing_path(tmp_path / "out", "pascal7", key="images/1/c3.png")))
    assert labels.shape == (11, 4) and labels.tolist() == [[2] * 4] * 4 + [[0] * 4] * 7
    parsing_path(tmp_path / "out", "pascal7", key="images/1/c3.png").unlink()
    again = parse_dataset(dataset, parser, root=tmp_path / "out", batch=3)
    assert (again.written, again.kept, parser.seen) == (1, 6, 8)


def test_maps_of_two_parsers_are_never_mixed(tmp_path, dataset):
    parse_dataset(dataset, Brightness(), root=tmp_path / "out")
    with pytest.raises(DataError, match=r"holds maps of stub@1, not of stub@2"):
        parse_dataset(dataset, Brightness("stub@2"), root=tmp_path / "out")
    (tmp_path / "out/parsing/pascal7/parser.txt").unlink()
    with pytest.raises(DataError, match="unknown parser"):
        parse_dataset(dataset, Brightness(), root=tmp_path / "out")


def test_unreadable_images_are_named_and_the_rest_is_parsed(tmp_path, dataset):
    dataset.samples[2].path.write_bytes(b"broken")
    report = parse_dataset(dataset, Brightness(), root=tmp_path / "out", batch=2)
    assert report.written == 6
    assert len(report.unreadable) == 1 and "c2.png" in report.unreadable[0]


CARD = {"model": "m.onnx", "scheme": "pascal7", "height": 8, "width": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heigth": 3}, "heigth"),
        ({"height": 0}, "height"),
        ({"scheme": "pascal"}, "did you mean 'pascal7'"),
        ({"table": [0, 9]}, r"table holds 9, but pascal7 has the labels 0\.\.6"),
        ({"model": "no.onnx"}, r"no\.onnx does not exist"),
    ],
)
def test_wrong_cards_say_what_is_wrong(tmp_path, change, message):
    (tmp_path / "m.onnx").touch()
    (tmp_path / "card.json").write_text(json.dumps(CARD | change))
    with pytest.raises(UnveilError, match=message):
        read_card(tmp_path / "card.json")


def test_a_card_that_is_no_json_or_missing(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        read_card(tmp_path / "card.json")
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(CheckpointError, match="no JSON"):
        read_card(tmp_path / "card.json")


def test_without_a_runtime_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").touch()
    (tmp_path / "card.json").write_text(json.dumps(CARD))
    for runtime in ("onnxruntime", "openvino"):
        monkeypatch.setitem(__import__("sys").modules, runtime, None)
    with pytest.raises(MissingExtraError, match=r"unveil\[onnx\]"):
        OnnxParser(tmp_path / "card.json")


@pytest.fixture
def model(tmp_path):
    """Write a 1x1 convolution with the scores 0.5, R, G, B, -1, -1, -1, its labels, and a mask R + G + B."""
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    onnx = pytest.importorskip("onnx", reason="onnx builds the test's model and is not installed")
    weight = np.zeros((7, 3, 1, 1), np.float32)
    weight[1, 0], weight[2, 1], weight[3, 2] = 1, 1, 1
    bias = np.array([0.5, 0, 0, 0, -1, -1, -1], np.float32)

    def write(batch="n", height="h", **change):
        shape = [batch, 3, height, "w"]
        f32 = onnx.TensorProto.FLOAT
        graph = onnx.helper.make_graph(
            [
                onnx.helper.make_node("Conv", ["x", "weight", "bias"], ["scores"], strides=[2, 2]),
                onnx.helper.make_node("ArgMax", ["scores"], ["labels"], axis=1, keepdims=0),
                onnx.helper.make_node("ReduceSum", ["x", "axes"], ["mask"], keepdims=1),
            ],
            "g",
            [onnx.helper.make_tensor_value_info("x", f32, shape)],
            [
                onnx.helper.make_tensor_value_info("scores", f32, [batch, 7, "a", "b"]),
                onnx.helper.make_tensor_value_info("labels", onnx.TensorProto.INT64, [batch, "a", "b"]),
                onnx.helper.make_tensor_value_info("mask", f32, [batch, 1, "c", "d"]),
            ],
            [
                onnx.numpy_helper.from_array(weight, "weight"),
                onnx.numpy_helper.from_array(bias, "bias"),
                onnx.numpy_helper.from_array(np.array([1]), "axes"),
            ],
        )
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
        onnx.save(made, tmp_path / "m.onnx")
        (tmp_path / "card.json").write_text(json.dumps(CARD | change))
        return tmp_path / "card.json"

    return write


def bands(height=16, width=8):
    """Upper half red, lower half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, :, 0] = 255
    image[height // 2 :, :, 2] = 255
    return image


def expected(height=16, width=8, up=1, down=3):
    return np.repeat([up] * (height // 2) + [down] * (height // 2), width).reshape(height, width)


@pytest.mark.parametrize("output", [None, "labels"])
@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_onnx_model_parses_at_the_crop_size(model, batch, output):
    parser = OnnxParser(model(batch, output=output), threads=1)
    maps = parser([bands(), bands(32, 8), bands()])
    assert [m.shape for m in maps] == [(16, 8), (32, 8), (16, 8)]
    assert (maps[0] == expected()).mean() > 0.85 and (maps[0] == maps[2]).all()
    assert maps[0].dtype == np.uint8 and (maps[1][[0, -1]] == [[1] * 8, [3] * 8]).all()
    assert parser.fingerprint.startswith("m.onnx@")


def test_the_fingerprint_follows_the_weights_of_an_ir_file_and_is_the_hash_of_a_single_one(model):
    card = model(1)
    single = card.with_name("m.onnx")
    assert OnnxParser(card).fingerprint == f"m.onnx@{hashlib.sha256(single.read_bytes()).hexdigest()[:12]}"
    pytest.importorskip("openvino", reason="OpenVINO (extra 'openvino') is not installed")
    as_openvino(single)
    card.write_text(json.dumps(json.loads(card.read_text()) | {"model": "m.xml"}))
    first = OnnxParser(card).fingerprint
    with card.with_name("m.bin").open("ab") as f:  # another file that computes the same
        f.write(b"0000")
    assert len({first, OnnxParser(card).fingerprint}) == 2


def test_onnx_channels_table_foreground_and_letterbox(model):
    assert OnnxParser(model(channels="bgr"))([bands()])[0][[0, -1]].tolist() == [[3] * 8, [1] * 8]
    table = OnnxParser(model(table=[0, 6, 6, 5, 0, 0, 0]))([bands()])[0]
    assert table[[0, -1]].tolist() == [[6] * 8, [5] * 8]
    dark = OnnxParser(model(table=[4, 6, 6, 5, 0, 0, 0], foreground={"output": "mask", "threshold": 0.1}))
    image = bands()
    image[:, 4:] = 0
    assert dark([image])[0][0].tolist() == [6, 6, 6, 6, 0, 0, 0, 0]
    # A tall crop in a square input: half of the width is border, which must not come back.
    boxed = OnnxParser(model(fit="letterbox"))([bands(64, 32)])[0]
    assert boxed.shape == (64, 32) and boxed[:24].tolist() == [[1] * 32] * 24


def test_onnx_models_that_do_not_fit_their_card_are_said(model, tmp_path):
    with pytest.raises(CheckpointError, match="no output 'x'; it has scores, labels, mask"):
        OnnxParser(model(output="x"))
    with pytest.raises(CheckpointError, match=r"x \(1, 3, 10, \?\) float32 and refuses x \(1, 3, 8, 8\)"):
        OnnxParser(model(1, 10))([bands()])
    with pytest.raises(DataError, match="answers class 3, but its card knows 2"):
        OnnxParser(model(table=[0, 1]))([bands()])
    model()
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match=r"m\.onnx: not a model"):
        OnnxParser(tmp_path / "card.json")
