"""The parser that ships: it works on rendered people it never saw, and says so when its files are damaged."""

import json
import shutil

import numpy as np
import pytest

from unveil.data.images import read_labels, read_sample
from unveil.errors import CheckpointError, DataError, MissingExtraError, UnveilError
from unveil.label_sets import SCHEMES
from unveil.parsing.card import read_card
from unveil.parsing.default import DEFAULT_CARD, default_parser
from unveil.parsing.measure import class_iou, confusion
from unveil.parsing.onnx_parser import OnnxParser
from unveil.world import labels as world
from unveil.world.dataset import read
from unveil.world.shares import SHARES, pab_shares, world_shares

MIN_IOU = {"pab6": 0.65, "cre7": 0.74}


@pytest.fixture(scope="module")
def parser():
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    return default_parser(threads=1)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_the_card_says_where_it_comes_from_and_knows_the_label_sets_of_the_world():
    card = read_card(DEFAULT_CARD)
    assert card.licence == "Apache-2.0" and "rendered people alone" in card.about
    assert (DEFAULT_CARD.parent / card.model).stat().st_size + DEFAULT_CARD.stat().st_size <= 6_000_000
    assert card.visibility is not None and card.visibility.parts == SHARES
    assert set(card.tables) >= {"lip20", "atr18", "pascal7", "cre7", "pab6"}
    for name, table in card.tables.items():
        assert list(table) == world.table(name).tolist()


def test_shapes_ranges_and_determinism(parser):
    crops = [noise(180, 80), noise(64, 33, 1), noise(300, 150, 2)]
    parsed = parser.parse(crops)
    assert parsed.labels.shape == (3, 256, 128) and parsed.labels.dtype == np.uint8
    assert parsed.labels.max() < len(SCHEMES["lip20"].labels)
    assert parsed.visibility.shape == (3, 7) and parsed.visibility.dtype == np.float32
    assert parsed.visibility.min() >= 0 and parsed.visibility.max() <= 1 and parsed.parts[0] == "head"
    again = parser.parse(crops)
    assert (again.labels == parsed.labels).all() and (again.visibility == parsed.visibility).all()
    assert [m.shape for m in parser(crops)] == [(180, 80), (64, 33), (300, 150)]
    assert len(parser.parse([]).labels) == 0 and parser.parse([]).visibility.shape == (0, 7)


def test_a_batch_says_what_single_crops_say(parser):
    crops = np.stack([noise(128, 64, seed) for seed in range(18)])  # more than one inference takes
    together = parser.parse(crops)
    alone = [parser.parse(crops[k : k + 1]) for k in (0, 15, 16, 17)]
    for k, one in zip((0, 15, 16, 17), alone, strict=True):
        assert (one.labels[0] == together.labels[k]).mean() > 0.999
        np.testing.assert_allclose(one.visibility[0], together.visibility[k], atol=1e-4)


def test_every_label_set_comes_from_the_same_look(parser):
    crops = [noise(128, 64, seed) for seed in range(2)]
    codes, _ = parser.look(crops, (256, 128))
    for name in ("pab6", "cre7", "pascal7", "atr18"):
        named = default_parser(1, name).parse(crops)
        assert named.scheme.name == name
        assert (named.labels == world.table(name)[np.stack(codes)]).all()
    with pytest.raises(DataError, match="did you mean 'pab6'"):
        default_parser(scheme="pab")
    with pytest.raises(DataError, match="makes no 'ps6'"):
        default_parser(scheme="ps6")


def test_it_finds_the_parts_of_people_that_it_never_saw(parser, rendered):
    data = read(rendered, scheme="world")
    images = [read_sample(sample) for sample in data.samples]
    maps, shares = parser.look(images)
    for name, least in MIN_IOU.items():
        table = world.table(name)
        count = len(SCHEMES[name].labels)
        matrix = sum(
            confusion(table[read_labels(sample.parsing)], table[found], labels=count)
            for sample, found in zip(data.samples, maps, strict=True)
        )
        assert np.nanmean(class_iou(matrix)) >= least, name
    truth = pab_shares(np.stack([world_shares(sample.extra) for sample in data.samples]))
    assert np.nanmean(np.abs(truth - shares)) <= 0.1
    # A crop of the upper half shows no legs; the head is still there.
    whole = next(k for k, sample in enumerate(data.samples) if float(sample.extra["visible"]) > 0.95)
    half = parser.parse([images[whole][: images[whole].shape[0] // 2]]).visibility[0]
    legs = [SHARES.index("left-leg"), SHARES.index("right-leg")]
    assert half[legs].max() < shares[whole][legs].min() - 0.3


def test_crops_that_are_no_crops(parser):
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(DataError, match="crop 1: expected"):
            parser.parse([noise(8, 8), wrong])


def test_a_damaged_or_missing_file_is_named(tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    shutil.copytree(DEFAULT_CARD.parent, tmp_path / "pack")
    card, model = tmp_path / "pack/parser.json", tmp_path / "pack/parser.onnx"
    model.write_bytes(model.read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"parser\.onnx: not a model"):
        OnnxParser(card)
    model.unlink()
    with pytest.raises(CheckpointError, match=r"parser\.onnx does not exist"):
        OnnxParser(card)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tables": {"pab6": [0, 9]}, "scheme": "pab6"}, r"table holds 9, but pab6 has the labels 0\.\.6"),
        ({"tables": {"pab6": [0, -1]}, "scheme": "pab6"}, "table holds -1"),
        ({"tables": {"pab6": [0]}}, "is one of them"),
        ({"table": [0]}, "no table"),
        ({"visibility": {"output": "shares", "parts": []}}, r"visibility\.parts"),
    ],
)
def test_wrong_tables_say_what_is_wrong(tmp_path, change, message):
    (tmp_path / "parser.onnx").touch()
    (tmp_path / "card.json").write_text(json.dumps(json.loads(DEFAULT_CARD.read_text()) | change))
    with pytest.raises(UnveilError, match=message):
        read_card(tmp_path / "card.json")


def test_a_model_whose_shares_do_not_fit_its_card(tmp_path):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    shutil.copytree(DEFAULT_CARD.parent, tmp_path / "pack")
    card = tmp_path / "pack/parser.json"
    made = json.loads(card.read_text())
    made["visibility"]["parts"] = ["head"]
    card.write_text(json.dumps(made))
    with pytest.raises(DataError, match="names 1 parts"):
        OnnxParser(card, 1).parse([noise(8, 8)])


def test_without_a_runtime_the_extra_is_named(monkeypatch):
    for runtime in ("onnxruntime", "openvino"):
        monkeypatch.setitem(__import__("sys").modules, runtime, None)
    with pytest.raises(MissingExtraError, match=r"unveil\[onnx\]"):
        default_parser()
