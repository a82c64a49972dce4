"""The rule that tells people from noise and textures, on the package's parser and rendered people."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from unveil.data.images import read_image
from unveil.errors import CheckpointError
from unveil.gallery.search.query import NoPersonDetectedError, check_people
from unveil.parsing.default import DEFAULT_CARD
from unveil.parsing.training.no_people import KINDS, without_people
from unveil.parsing.training.person_check import FEATURES, LAYERS, OUTPUT, with_features, with_rule

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra onnx)")


@pytest.fixture(scope="module")
def parser():
    from unveil.parsing.default import default_parser

    return default_parser(1)


def test_noise_is_nobody(parser):
    """Uniform noise, of which an older rule took some for people; all sizes."""
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((64, 32), (128, 64), (256, 128), (384, 160))]
    assert not parser.people(noise).any()
    with pytest.raises(NoPersonDetectedError, match="it: no person"):
        check_people(noise[:1], ["it"], parser=parser)


def test_no_texture_and_nearly_all_people_pass(parser, rendered):
    textures = [without_people(number, seed=3)[1] for number in range(2 * len(KINDS))]
    assert not parser.people(textures).any()
    people = [read_image(path) for path in sorted((rendered / "crops").rglob("*.jpg"))]
    assert parser.people(people).mean() >= 0.9
    assert parser.people([]).shape == (0,)


@pytest.mark.real
@pytest.mark.skipif("UNVEIL_REAL_DATA" not in os.environ, reason="UNVEIL_REAL_DATA names no folder of real crops")
def test_98_of_100_real_crops_are_people(parser):
    paths = sorted((Path(os.environ["UNVEIL_REAL_DATA"]) / "viper").rglob("*.png"))
    chosen = np.random.default_rng(0).permutation(len(paths))[:300]
    assert parser.people([read_image(paths[n]) for n in chosen]).mean() >= 0.98


@pytest.mark.parametrize("kind", ["uniform noise", "bricks", "foliage"])
def test_noise_walls_and_foliage_are_nobody(parser, kind):
    number = sorted(KINDS).index(kind)
    drawn = [without_people(number + k * len(KINDS), seed=4) for k in range(20)]
    assert {name for name, _ in drawn} == {kind}
    assert not parser.people([image for _, image in drawn]).any()


def test_a_card_names_an_output_that_is_there_or_none(tmp_path, parser):
    from unveil.parsing.onnx_parser import OnnxParser

    card = json.loads(DEFAULT_CARD.read_text())
    (tmp_path / card["model"]).write_bytes((DEFAULT_CARD.parent / card["model"]).read_bytes())
    path = tmp_path / "parser.json"
    path.write_text(json.dumps({**card, "person_check": {"output": "nobody", "threshold": 0}}))
    with pytest.raises(CheckpointError, match="has no output 'nobody'"):
        OnnxParser(path, 1)
    path.write_text(json.dumps({**card, "person_check": None}))
    assert OnnxParser(path, 1).people([np.zeros((64, 32, 3), np.uint8)]) is None


def test_the_rule_in_the_graph_is_that_of_the_layers(parser):
    """Mean, maximum and standard deviation of each channel by NumPy, of what the two layers answer."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (extra export)")
    import onnxruntime

    model = onnx.load(str(DEFAULT_CARD.parent / "parser.onnx"))
    with_features(model)
    with_features(model)  # again: nothing is there twice
    for layer in LAYERS:
        model.graph.output.append(onnx.helper.make_tensor_value_info(layer, onnx.TensorProto.FLOAT, None))
    image = np.random.default_rng(0).uniform(-1, 1, (2, 3, 256, 128)).astype(np.float32)

    def answers(*names):
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(list(names), {session.get_inputs()[0].name: image})

    features, *layers = answers(FEATURES, *LAYERS)
    by_hand = [part for x in layers for part in (x.mean((2, 3)), x.max((2, 3)), x.std((2, 3)))]
    np.testing.assert_allclose(features, np.log1p(np.concatenate(by_hand, 1)), atol=2e-3)
    weights = np.random.default_rng(1).normal(size=features.shape[1])
    with_rule(model, weights, bias=0.5)
    assert FEATURES not in [output.name for output in model.graph.output]
    (scores,) = answers(OUTPUT)
    np.testing.assert_allclose(scores[:, 0], features @ weights + 0.5, rtol=1e-3, atol=1e-2)
    del model.graph.node[:]
    with pytest.raises(ValueError, match="is no parser of this version"):
        with_features(model)


def test_drawn_images_are_the_same_for_a_number_and_of_every_kind():
    first, again = without_people(4), without_people(4)
    assert first[0] == again[0] and np.array_equal(first[1], again[1])
    assert {without_people(number)[0] for number in range(len(KINDS))} == set(KINDS)
    assert all(without_people(n)[1].dtype == np.uint8 and without_people(n)[1].shape[2] == 3 for n in range(len(KINDS)))
