"""Models of other projects: run as their cards say, by either runtime, and refused in words where they do not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from external import HEIGHT, WIDTH, write_card, write_external, write_stripes
from runtime.graphs import as_openvino, mean_colours, save_graph
from unveil.errors import CheckpointError, RecipeError
from unveil.inference.backends.external import external_engine
from unveil.inference.load import load_embedder, load_engine


def flat(red: int, green: int, blue: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def unit(*numbers: float) -> np.ndarray:
    return np.array(numbers) / np.linalg.norm(numbers)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("shape", [("n", 3, HEIGHT, WIDTH), (1, 3, HEIGHT, WIDTH), (4, 3, HEIGHT, WIDTH)])
def test_a_graph_of_any_batch_gives_the_vectors_of_every_crop(tmp_path, runtime, shape):
    engine = external_engine(write_external(tmp_path, shape=shape), runtime=runtime)
    crops = [flat(10 * k, 100, 0) for k in range(1, 8)]
    found = engine.embed(crops)
    assert found.vectors.shape == (7, 1, 3) and (found.visibility == 1).all()
    assert np.allclose(found.vectors[:, 0], [unit(10 * k, 100, 0) for k in range(1, 8)], atol=1e-5)
    assert len(engine.embed([])) == 0


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.UINT8])
def test_half_precision_and_whole_numbers_are_fed_as_the_file_says(tmp_path, kind):
    path = mean_colours(tmp_path / "m.onnx", shape=("n", HEIGHT, WIDTH, 3), kind=kind)
    write_card(path, layout="nhwc", scale=1, normalise=False, metric="euclidean")
    assert external_engine(path).embed([flat(10, 20, 30)]).vectors[0, 0] == pytest.approx([10, 20, 30], abs=0.1)


def test_an_ir_file_and_its_card_are_the_model(tmp_path):
    path = write_external(tmp_path, channels="bgr")
    xml = as_openvino(path)
    path.unlink()
    write_card(xml, channels="bgr")
    for named in (xml, xml.with_suffix(".json")):
        engine = load_engine(named)
        assert engine.kind == "openvino" and np.allclose(engine.embed([flat(9, 8, 7)]).vectors[0, 0], unit(7, 8, 9))


def test_the_mirrored_crop_is_added(tmp_path):
    half = flat(0, 0, 0)
    half[:, : WIDTH // 2] = (200, 100, 0)
    # A graph that sees the left half alone.
    nodes = [
        helper.make_node("Split", ["images"], ["left", "right"], axis=3, num_outputs=2),
        helper.make_node("ReduceMean", ["left", "axes"], ["vectors"], keepdims=0),
    ]
    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3])
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 3])]
    path = save_graph(tmp_path / "m.onnx", nodes, inputs, outputs, [axes])
    write_card(path, scale=1, normalise=False, mirror=True)
    other = flat(0, 0, 60)
    other[:, : WIDTH // 2] = (200, 100, 0)
    assert external_engine(path).embed([other]).vectors[0, 0] == pytest.approx([200, 100, 60])


def test_parts_and_their_visibility(tmp_path):
    engine = external_engine(write_stripes(tmp_path))
    crop = flat(255, 0, 0)
    crop[HEIGHT // 2 :] = (51, 204, 0)
    found = engine.embed([crop, crop])
    assert found.names == ("part0", "part1") and found.visibility[1] == pytest.approx([1, 0.2])
    assert np.allclose(found.vectors[0], [unit(1, 0, 0), unit(51, 204, 0)], atol=1e-5)


def test_arrays_images_and_paths_are_taken_alike(tmp_path):
    engine = load_engine(write_external(tmp_path))
    array = flat(200, 40, 10, 50, 21)
    Image.fromarray(array).save(tmp_path / "a.png")
    found = engine.embed([array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png")])
    assert (found.vectors == found.vectors[0]).all()
    with pytest.raises(ValueError, match=r"image 1: expected \(H, W, 3\) uint8"):
        engine.embed([array, array[..., 0]])


def test_the_fingerprint_follows_what_changes_vectors_and_nothing_else(tmp_path):
    path = write_external(tmp_path)
    first = load_engine(path).fingerprint
    write_card(path, about="corrected", trained_on="more", licence="MIT")
    assert load_engine(path).fingerprint == first
    write_card(path, channels="bgr")
    second = load_engine(path).fingerprint
    with path.open("ab") as f:  # another file that computes the same
        f.write(b"\xfa\x01\x02hi")
    assert len({first, second, load_engine(path).fingerprint}) == 3


def test_what_people_are_told(tmp_path):
    told = load_embedder(write_external(tmp_path, trained_on="somewhere")).summary
    assert (told.name, told.method, told.trained_on, told.licence) == ("other", "external", "somewhere", "test")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"height": 64}, r"the card says crops \(n, 3, 64, 16\), the model takes images \(\?, 3, 32, 16\)"),
        ({"layout": "nhwc"}, "correct height, width or layout"),
        ({"output": "features"}, "no output 'features'; it has vectors"),
        ({"names": ["a", "b"]}, r"expected 2 vectors a crop \(1, 2, D\), output 'vectors' gives \(1, 3\)"),
        ({"names": ["a", "a"]}, "expected different words"),
        ({"metric": "manhattan"}, "metric: Input should be"),
        ({"std": [0, 1, 1]}, "std: "),
        ({"sha256": "0" * 64}, "its SHA-256 differs"),
        ({"decoder": "yolox", "metric": None}, "is the card of a ReID model|is a detector"),
    ],
)
def test_a_card_that_does_not_fit_is_said(tmp_path, card, message):
    path = write_external(tmp_path)
    fields = json.loads(path.with_suffix(".json").read_text()) | card
    path.with_suffix(".json").write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))
    with pytest.raises(CheckpointError, match=message):
        load_engine(path)


def test_an_output_that_is_no_vector_is_said(tmp_path):
    nodes = [helper.make_node("Identity", ["images"], ["maps"])]
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    outputs = [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])]
    path = save_graph(tmp_path / "m.onnx", nodes, inputs, outputs)
    write_card(path)
    with pytest.raises(
        CheckpointError, match=r"expected a vector a crop .*'maps' gives \(1, 3, 32, 16\).*no ReID model"
    ):
        load_engine(path)


def test_paths_that_are_no_model_are_told_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("UNVEIL_MODELS", str(tmp_path / "models"))
    path = write_external(tmp_path)
    path.with_suffix(".json").unlink()
    Image.fromarray(flat(1, 2, 3)).save(tmp_path / "a.png")
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pth.tar")
    (tmp_path / "other.txt").write_text("hello")
    (tmp_path / "detector.json").write_text(
        json.dumps({"model": "m.onnx", "decoder": "yolox", "width": 9, "height": 9})
    )
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("other.onnx", "holds no card: .*unveil models add"),
        ("a.png", "an image, no model"),
        ("model.pth.tar", "a checkpoint of PyTorch: `unveil models import FILE"),
        ("other.txt", "a file of 5 bytes that is no model"),
        ("detector.json", r"is a detector, by its card detector\.json"),
        ("empty", "a folder without model.safetensors"),
        ("nowhere", r"no model at .*nowhere.*expected the folder of a training run"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_engine(tmp_path / name)
    with pytest.raises(RecipeError, match="cannot be run by torch"):
        load_engine(write_external(tmp_path), "torch")
