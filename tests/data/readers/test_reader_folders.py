"""Benchmarks whose splits are folders: Duke and its kin, Occluded-REID, Partial sets, NKUP, Celeb-reID."""

import pytest

from unveil.data.readers import (
    celeb_reid,
    duke,
    nkup,
    occluded_duke,
    occluded_reid,
    p_dukemtmc,
    partial_ilids,
    partial_reid,
)
from unveil.errors import DataError

DUKE = """bounding_box_train/0001_c2_f0046182.jpg bounding_box_train/0001_c5_f0051341.jpg
query/0005_c2_f0046985.jpg query/0006_c1_f0000001.jpg
bounding_box_test/0005_c2_f0047105.jpg bounding_box_test/0005_c5_f0051781.jpg bounding_box_test/0006_c1_f0000101.jpg
bounding_box_test/0009_c8_f0000001.jpg"""


def by_split(dataset):
    return [len(part) for part in (dataset.train, dataset.query, dataset.gallery)]


def test_duke_labels_junk_and_withdrawal(tmp_path, crops, rules):
    dataset = duke.read(crops(tmp_path / "DukeMTMC-reID", DUKE))
    assert by_split(dataset) == [2, 2, 4]
    assert {(s.person, s.camera) for s in dataset.train} == {("0001", "2"), ("0001", "5")}
    assert any("withdrawn" in note for note in dataset.notes)
    matches, junk = rules(dataset, dataset.protocol())
    assert matches["query/0005_c2_f0046985.jpg"] == {"bounding_box_test/0005_c5_f0051781.jpg"}
    assert junk["query/0005_c2_f0046985.jpg"] == {"bounding_box_test/0005_c2_f0047105.jpg"}
    assert matches["query/0006_c1_f0000001.jpg"] == set()


def test_a_root_one_level_too_high_or_low_is_found_and_said(tmp_path, crops):
    root = crops(tmp_path / "sets" / "DukeMTMC-reID", DUKE)
    keys = [s.key for s in duke.read(root).samples]
    high = duke.read(tmp_path / "sets")
    low = duke.read(root / "query")
    assert [s.key for s in high.samples] == [s.key for s in low.samples] == keys
    assert any("inside the dataset" in note for note in low.notes)


def test_half_extracted_archives_are_said(tmp_path, crops):
    root = crops(tmp_path, DUKE)
    for path in (root / "query").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"query: no image in it; was the archive extracted only in part"):
        duke.read(root)
    (root / "query").rmdir()
    with pytest.raises(DataError, match="missing query"):
        duke.read(root)


def test_names_outside_the_filename_pattern_are_counted_and_left_out(tmp_path, crops):
    dataset = duke.read(crops(tmp_path / "x_c9", DUKE + " query/thumb.jpg query/copy_of_0005.jpg"))
    assert by_split(dataset) == [2, 2, 4]
    assert any("query: 2 of 4 image names" in note and "copy_of_0005.jpg" in note for note in dataset.notes)


def test_two_files_of_one_person_and_frame_are_said(tmp_path, crops):
    dataset = duke.read(crops(tmp_path, DUKE + " query/0005_c2_f0046985.png"))
    assert any("2 files share person and frame" in note for note in dataset.notes)


def test_file_order_changes_nothing(tmp_path, crops):
    forward = duke.read(crops(tmp_path / "a", DUKE))
    backward = duke.read(crops(tmp_path / "b", DUKE.split()[::-1]))
    assert [(s.key, s.person) for s in forward.samples] == [(s.key, s.person) for s in backward.samples]
    assert forward.hash == backward.hash


def test_occluded_duke_from_the_lists(tmp_path, crops):
    root = crops(tmp_path / "DukeMTMC-reID", DUKE)
    with pytest.raises(DataError, match=r"this is DukeMTMC-reID.*query\.list"):
        occluded_duke.read(root)
    lists = tmp_path / "Occluded_Duke"
    lists.mkdir()
    (lists / "train.list").write_text("0001_c2_f0046182.jpg\n")
    # The second query is an image of Duke's gallery.
    (lists / "query.list").write_text("0005_c2_f0046985.jpg\n0009_c8_f0000001.jpg\n")
    (lists / "gallery.list").write_text("0005_c5_f0051781.jpg\n0006_c1_f0000101.jpg\n")
    dataset = occluded_duke.read(root)
    assert by_split(dataset) == [1, 2, 2]
    query = {s.key: s for s in dataset.query}
    assert query["query/0009_c8_f0000001.jpg"].path == root / "bounding_box_test" / "0009_c8_f0000001.jpg"
    assert dataset.name == "occluded_duke"
    assert [s.key for s in occluded_duke.read(root, lists=lists).samples] == [s.key for s in dataset.samples]
    (lists / "gallery.list").write_text("0099_c1_f0000001.jpg\n")
    with pytest.raises(DataError, match=r"gallery\.list names 0099_c1"):
        occluded_duke.read(root)


def test_occluded_duke_as_built(tmp_path, crops):
    assert by_split(occluded_duke.read(crops(tmp_path / "Occluded_Duke", DUKE))) == [2, 2, 4]


def test_occluded_reid_has_no_junk_and_no_training_images(tmp_path, crops, rules):
    names = """occluded_body_images/001/001_01.tif occluded_body_images/001/001_02.jpg
    whole_body_images/001/001_01.tif whole_body_images/002/002_01.tif"""
    dataset = occluded_reid.read(crops(tmp_path / "Occluded_REID", names))
    assert by_split(dataset) == [0, 2, 2]
    assert {s.person for s in dataset.samples} == {"1", "2"} and dataset.samples[0].camera is None
    matches, junk = rules(dataset, dataset.protocol())
    assert set(map(frozenset, matches.values())) == {frozenset({"whole_body_images/001/001_01.tif"})}
    assert not any(junk.values())
    assert any("train on market1501" in note for note in dataset.notes)


def test_p_dukemtmc_trains_on_both_folders(tmp_path, crops, rules):
    names = """train/occluded_body_images/1/0001_c1.jpg train/whole_body_images/1/0001_c2.jpg
    test/occluded_body_images/7/0007_a.jpg test/whole_body_images/7/0007_b.jpg test/whole_body_images/8/0008_b.jpg"""
    dataset = p_dukemtmc.read(crops(tmp_path / "P-DukeMTMC-reid", names))
    assert by_split(dataset) == [2, 1, 2]
    matches, _ = rules(dataset, dataset.protocol())
    assert matches == {"test/occluded_body_images/7/0007_a.jpg": {"test/whole_body_images/7/0007_b.jpg"}}
    assert any("withdrawn" in note for note in dataset.notes)


def test_partial_reid_searches_with_either_kind(tmp_path, crops):
    names = "partial_body_images/001_001.jpg occluded_body_images/001_001.jpg whole_body_images/001_001.jpg"
    root = crops(tmp_path / "Partial_REID", names)
    assert [s.key for s in partial_reid.read(root).query] == ["partial_body_images/001_001.jpg"]
    assert [s.key for s in partial_reid.read(root, query="occluded").query] == ["occluded_body_images/001_001.jpg"]
    assert [s.person for s in partial_reid.read(root).gallery] == ["1"]


@pytest.mark.parametrize("folders", [("Probe", "Gallery"), ("partial_body_images", "whole_body_images")])
def test_partial_ilids_in_both_layouts(tmp_path, crops, folders):
    root = crops(tmp_path / "Partial_iLIDS", [f"{folder}/{n}.jpg" for folder in folders for n in (1, 2)])
    for given in (root, tmp_path):
        dataset = partial_ilids.read(given)
        assert by_split(dataset) == [0, 2, 2]
        assert [s.person for s in dataset.query] == ["1", "2"]


def test_nkup_camera_day_and_dropped_junk(tmp_path, crops, rules):
    names = """bounding_box_train/0001_D0903_C01S01_00001.jpg bounding_box_train/-1_D0903_C01S01_00002.jpg
    query/0005_D0912_C03S01_00151.jpg
    bounding_box_test/0005_D1001_C03S02_00001.jpg bounding_box_test/0005_D1001_C15S02_00001.jpg"""
    root = crops(tmp_path / "NKUP", names)
    dataset = nkup.read(root)
    assert by_split(dataset) == [1, 1, 2]
    assert (dataset.query[0].camera, dataset.query[0].extra["day"], dataset.query[0].clothes) == ("3", "D0912", None)
    matches, junk = rules(dataset, dataset.protocol())
    assert list(matches.values()) == [{"bounding_box_test/0005_D1001_C15S02_00001.jpg"}]
    assert list(junk.values()) == [{"bounding_box_test/0005_D1001_C03S02_00001.jpg"}]
    assert nkup.read(root, clothes="day").train[0].clothes == "0001_D0903"


def test_celeb_reid_without_cameras(tmp_path, crops, rules):
    dataset = celeb_reid.read(crops(tmp_path / "Celeb-reID", "train/1_1_0.jpg query/2_1_0.jpg gallery/2_10_3.jpg"))
    assert by_split(dataset) == [1, 1, 1]
    assert rules(dataset, dataset.protocol())[0] == {"query/2_1_0.jpg": {"gallery/2_10_3.jpg"}}
