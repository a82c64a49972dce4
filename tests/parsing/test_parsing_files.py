"""Files of other tools: palette PNGs, confidence fields, probability arrays."""

import numpy as np
import pytest
from PIL import Image

from unveil.errors import DataError, ImageError
from unveil.label_sets import ATR18, LIP20
from unveil.parsing.formats.pifpaf import GROUPINGS, find_fields, part_labels, part_maps, read_fields, with_background
from unveil.parsing.formats.pixel_sampling import read_probabilities
from unveil.parsing.formats.schp import read_label_png, schp_name, write_label_png

LABELS = np.arange(20, dtype=np.uint8).reshape(4, 5)


def test_written_map_is_a_palette_png_with_the_labels_as_indices(tmp_path):
    write_label_png(tmp_path / "a" / "m.png", LABELS, scheme=LIP20)
    with Image.open(tmp_path / "a" / "m.png") as image:
        assert image.mode == "P"
        assert (np.asarray(image) == LABELS).all()
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["m.png"]


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_every_mode_reads_the_same_labels(tmp_path, mode):
    path = tmp_path / "m.png"
    write_label_png(path, LABELS, scheme=LIP20)
    if mode == "L":
        Image.fromarray(LABELS).save(path)
    elif mode != "P":
        with Image.open(path) as image:
            converted = image.convert(mode)
        converted.save(path)
    assert (read_label_png(path, LIP20) == LABELS).all()


def test_bad_maps_are_named(tmp_path):
    path = tmp_path / "m.png"
    write_label_png(path, LABELS, scheme=LIP20)
    with pytest.raises(DataError, match=r"m\.png.*atr18, found 18, 19"):
        read_label_png(path, ATR18)
    with pytest.raises(DataError, match="atr18, found 18, 19"):
        write_label_png(path, LABELS, scheme=ATR18)
    Image.fromarray(np.full((2, 3, 3), 77, np.uint8)).save(path)
    with pytest.raises(ImageError, match=r"m\.png.*77, 77, 77"):
        read_label_png(path, LIP20)
    Image.fromarray(np.zeros((2, 3, 2), np.uint8)).save(path)
    with pytest.raises(ImageError, match="mode LA"):
        read_label_png(path, LIP20)
    path.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ImageError, match=r"m\.png"):
        read_label_png(path, LIP20)


def test_schp_drops_the_last_four_characters():
    assert schp_name("0001_c1.jpg") == "0001_c1.png"
    assert schp_name("a.jpeg") == "a..png"


def test_groupings_are_those_of_the_paper():
    assert {name: len(g.parts) for name, g in GROUPINGS.items()} == {
        "six": 6,
        "eight": 8,
        "five": 5,
        "five_v": 5,
        "four": 4,
    }
    six = dict(GROUPINGS["six"].parts)
    assert 21 in six["left-leg"] and 21 in six["torso"] and 21 not in six["right-leg"]
    assert 22 not in {f for _, fields in GROUPINGS["five_v"].parts for f in fields}
    for name in ("six", "eight", "five", "four"):
        assert {f for _, fields in GROUPINGS[name].parts for f in fields} == set(range(36))


def test_part_maps_are_the_clamped_maximum_and_the_softmax_is_sharp():
    fields = np.zeros((36, 3, 2), np.float32)
    fields[9, 0, 0], fields[27, 0, 0], fields[14, 1, 1] = 0.6, 1.7, 0.4
    maps = part_maps(fields)
    assert maps.shape == (6, 3, 2)
    assert maps[1, 0, 0] == 1.0
    full = with_background(maps)
    assert np.allclose(full.sum(axis=0), 1)
    assert full[2, 0, 0] == pytest.approx(1 / (1 + 6 * np.exp(-15)), rel=1e-5)
    assert full[0, 1, 1] == pytest.approx(np.exp(15) / (np.exp(15) + np.exp(6) + 5), rel=1e-5)


def test_part_labels_are_pab6_and_enlarged_by_nearest_neighbour():
    fields = np.zeros((36, 17, 9), np.float32)
    fields[0, 0, 4] = fields[16, 16, 0] = 1
    labels = part_labels(fields, (128, 64))
    assert labels.shape == (128, 64)
    assert set(np.unique(labels)) == {0, 1, 6}
    assert labels[127, 0] == 6 and labels[0, 32] == 1


@pytest.mark.parametrize(
    "name", ["x.jpg.confidence_fields.npy", "x.jpg.npy", "x.confidence_fields.npy", "x.npy", "007/x.npy"]
)
def test_fields_are_found_under_every_suffix_and_without_the_person_folder(tmp_path, name):
    path = tmp_path / "train" / name
    path.parent.mkdir(parents=True)
    np.save(path, np.ones((36, 2, 2)))
    assert find_fields(tmp_path, "train/007/x.jpg") == path
    assert read_fields(path).dtype == np.float32
    assert find_fields(tmp_path, "train/007/y.jpg") is None


def test_wrong_arrays_are_named(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones((17, 2, 2)))
    with pytest.raises(DataError, match=r"x\.npy: expected an array \(36, h, w\), found \(17, 2, 2\)"):
        read_fields(path)
    with pytest.raises(DataError, match=r"expected an array \(H, W, 6\)"):
        read_probabilities(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.npy"):
        read_fields(path)


def test_probabilities_become_their_argmax(tmp_path):
    labels = np.random.default_rng(0).integers(0, 6, (256, 128))
    np.save(tmp_path / "p.npy", np.eye(6, dtype=np.float32)[labels])
    assert (read_probabilities(tmp_path / "p.npy") == labels).all()
    assert (read_probabilities(tmp_path / "p.npy", (128, 64)) == labels[::2, ::2]).all()
