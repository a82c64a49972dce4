import numpy as np
import pytest
from PIL import Image

from unveil.data.parsing_tree import attach_parsing, parsing_path
from unveil.datasets import load_dataset
from unveil.errors import DataError
from unveil.label_sets import CRE7
from unveil.parsing.check import check_parsing
from unveil.parsing.formats.schp import write_label_png
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample

KEYS = ("train/1/a.jpg", "train/1/b.jpg", "query/c.jpg")


@pytest.fixture
def dataset(tmp_path):
    for key in KEYS:
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(tmp_path / key)
    return Dataset("tiny", tuple(Sample(key, path=tmp_path / key, person="1") for key in KEYS))


def put(root, key, shape=(8, 4)):
    write_label_png(parsing_path(root, "cre7", key=key), np.ones(shape, np.uint8), scheme=CRE7)


def test_maps_are_attached_and_the_share_of_missing_ones_is_reported(tmp_path, dataset):
    put(tmp_path, KEYS[0])
    write_label_png(tmp_path / "parsing/cre7/query/c.png", np.zeros((8, 4), np.uint8), scheme=CRE7)
    attached, share = attach_parsing(dataset, tmp_path)
    assert attached.parsing_scheme == "cre7"
    assert [s.parsing is None for s in attached.samples] == [False, True, False]
    assert share.missing == (KEYS[1],)
    assert "1 of 3 missing (33.3%): train/1/b.jpg" in attached.notes[-1]
    assert check_parsing(attached) == []


def test_size_mismatch_and_unknown_labels_name_the_file(tmp_path, dataset):
    put(tmp_path, KEYS[0], shape=(8, 5))
    put(tmp_path, KEYS[1])
    Image.fromarray(np.full((8, 4), 7, np.uint8)).save(parsing_path(tmp_path, "cre7", key=KEYS[1]))
    put(tmp_path, KEYS[2])
    attached, share = attach_parsing(dataset, tmp_path, scheme="cre7")
    assert not share.missing
    problems = check_parsing(attached)
    assert len(problems) == 2
    assert "a.jpg.png: the map is 5x8 but its image" in problems[0] and "4x8" in problems[0]
    assert "b.jpg.png" in problems[1] and "found 7" in problems[1]


def test_a_tree_that_is_not_there_or_fits_nothing_is_said(tmp_path, dataset):
    with pytest.raises(DataError, match="expected one scheme"):
        attach_parsing(dataset, tmp_path)
    with pytest.raises(DataError, match=r"no parsing tree.*cre7"):
        attach_parsing(dataset, tmp_path, scheme="cre7")
    put(tmp_path, "elsewhere/z.jpg")
    with pytest.raises(DataError, match=r"no map for any of the 3 samples.*train/1/a\.jpg\.png"):
        attach_parsing(dataset, tmp_path, scheme="cre7")


def test_every_dataset_takes_a_tree_of_maps_as_an_option(tmp_path):
    for split in ("train", "query", "gallery"):
        key = f"{split}/1_1_0.jpg"
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 8)).save(tmp_path / key)
        put(tmp_path / "maps", key)
    source = f"celeb_reid:{tmp_path}?parsing={tmp_path / 'maps'}"
    dataset = load_dataset(DataSource.model_validate(source))
    assert dataset.parsing_scheme == "cre7" and all(s.parsing for s in dataset.samples)
    with pytest.raises(DataError, match=r"no parsing tree.*atr18"):
        load_dataset(DataSource.model_validate(f"{source}&parsing_scheme=atr18"))
    with pytest.raises(DataError, match=r"'parsng' is unknown.*did you mean 'parsing'"):
        load_dataset(DataSource.model_validate(f"celeb_reid:{tmp_path}?parsng=x"))


def test_labels_of_a_foreign_scheme_are_left_alone_but_sizes_are_not(tmp_path, dataset):
    for key in KEYS:
        path = parsing_path(tmp_path, "world", key=key)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 4 + (key == KEYS[2])), 91, np.uint8)).save(path)
    problems = check_parsing(attach_parsing(dataset, tmp_path)[0])
    assert len(problems) == 1 and "c.jpg.png" in problems[0]
