"""Market-1501, VIPeR and folders on miniatures; the catalog; VIPeR itself where it is present."""

import os
from pathlib import Path

import pytest

from unveil.data.readers import folder, market1501, viper
from unveil.datasets import READERS, load_dataset, options_of
from unveil.errors import DataError
from unveil.recipe import DataSource

MARKET = """bounding_box_train/0002_c1s1_000451_03.jpg bounding_box_train/0007_c3s2_000001_01.jpg
query/0001_c1s1_001051_00.jpg bounding_box_test/0001_c2s1_000301_00.jpg bounding_box_test/0001_c1s2_000001_00.jpg
bounding_box_test/-1_c1s1_000401_03.jpg bounding_box_test/0000_c4s6_000810_02.jpg bounding_box_test/odd_name.jpg"""


@pytest.fixture
def market(tmp_path, crops):
    root = crops(tmp_path / "my_c9" / "Market-1501-v15.09.15", MARKET)
    (root / "query" / "Thumbs.db").write_bytes(b"x")
    return root


def test_market_filename_pattern_and_junk(market, rules):
    dataset = market1501.read(market)
    assert [(s.person, s.camera) for s in dataset.train] == [("0002", "1"), ("0007", "3")]
    assert [(s.person, s.camera) for s in dataset.query] == [("0001", "1")]
    assert {s.person for s in dataset.gallery} == {"0001", "0000"}
    assert any("1 boxes labelled -1" in note for note in dataset.notes)
    assert any("1 of 5 image names" in note and "odd_name.jpg" in note for note in dataset.notes)
    matches, junk = rules(dataset, dataset.protocol("market"))
    query = "query/0001_c1s1_001051_00.jpg"
    assert matches[query] == {"bounding_box_test/0001_c2s1_000301_00.jpg"}
    assert junk[query] == {"bounding_box_test/0001_c1s2_000001_00.jpg"}


def test_market_root_one_level_too_high_or_too_low_is_found_and_said(market):
    keys = [s.key for s in market1501.read(market).samples]
    above = market1501.read(market.parent)
    assert [s.key for s in above.samples] == keys and not any("instead" in note for note in above.notes)
    renamed = market.rename(market.with_name("unusual"))
    for given, word in ((renamed.parent, "above"), (renamed / "query", "inside")):
        dataset = market1501.read(given)
        assert [s.key for s in dataset.samples] == keys
        assert any(word in note and str(renamed) in note for note in dataset.notes)


def test_market_two_copies_below_one_folder_are_refused(market, crops):
    for name in ("one", "two"):
        crops(market.parent / "both" / name, MARKET)
    with pytest.raises(DataError, match="more than one"):
        market1501.read(market.parent / "both")


def test_market_missing_folder_and_foreign_names(tmp_path, crops):
    crops(tmp_path / "a", "query/x.jpg bounding_box_train/x.jpg")
    with pytest.raises(DataError, match="missing bounding_box_test"):
        market1501.read(tmp_path / "a")
    crops(tmp_path / "a", "bounding_box_test/x.jpg")
    with pytest.raises(DataError, match="filename pattern"):
        market1501.read(tmp_path / "a")


def test_market_distractors(market, crops):
    crops(market, "images/0000_c1s1_000001_00.jpg")
    assert len(market1501.read(market, distractors=True).gallery) == len(market1501.read(market).gallery) + 1


def viper_names(people=8):
    return [f"cam_{side}/{p:03d}_{angle}.bmp" for p in range(people) for side, angle in (("a", 0), ("b", 90))]


def test_viper_published_layout(tmp_path, crops):
    dataset = viper.read(crops(tmp_path / "VIPeR", viper_names()), split=4)
    assert (len(dataset.train), len(dataset.query), len(dataset.gallery)) == (8, 4, 4)
    assert {s.camera for s in dataset.query} == {"1"} and all(s.key.startswith("cam_a/") for s in dataset.query)
    assert {s.camera for s in dataset.gallery} == {"2"} and all(s.extra["angle"] == "90" for s in dataset.gallery)
    assert {s.person for s in dataset.query} == {s.person for s in dataset.gallery}
    assert not {s.person for s in dataset.query} & {s.person for s in dataset.train}
    assert dataset.protocol().name == "viper" and dataset.protocol().junk == ()


def test_viper_manifest_gives_the_same_splits(tmp_path, crops):
    root = crops(tmp_path / "VIPeR", viper_names(12))
    rows = [f"{name},{int(name[6:9])},{1 if name[4] == 'a' else 2}" for name in viper_names(12)]
    (root / "manifest.csv").write_text("path,person,camera\n" + "\n".join(reversed(rows)) + "\n")
    listed = viper.read(root, split=2)
    (root / "manifest.csv").unlink()
    published = viper.read(root, split=2)
    for part in ("train", "query", "gallery"):
        assert {s.key for s in listed.subset(part)} == {s.key for s in published.subset(part)}


def test_viper_splits_are_seeded_halves():
    people = [str(p) for p in range(632)]
    halves = [viper.train_persons(people, split) for split in range(10)]
    assert all(len(half) == 316 for half in halves) and len(set(halves)) == 10
    assert halves[0] == viper.train_persons(reversed(people), 0)


def test_viper_needs_cameras(tmp_path, crops):
    root = crops(tmp_path, "a.png b.png")
    (root / "manifest.csv").write_text("path,person,camera\na.png,1,1\nb.png,1,3\n")
    with pytest.raises(DataError, match="camera '3'"):
        viper.read(root)


@pytest.mark.real
@pytest.mark.skipif("UNVEIL_REAL_DATA" not in os.environ, reason="UNVEIL_REAL_DATA names no folder of real crops")
def test_viper_itself():
    dataset = viper.read(Path(os.environ["UNVEIL_REAL_DATA"]) / "viper", split=9)
    assert [len(part) for part in (dataset.train, dataset.query, dataset.gallery)] == [632, 316, 316]


def test_folder_of_people(tmp_path, crops):
    root = crops(tmp_path / "people", "ann/1.jpg ann/deep/2.png bob/1.jpg loose.jpg ann/.hidden.jpg bob/chart.pdf")
    dataset = folder.read(root)
    assert {s.key: s.person for s in dataset.samples} == {
        "ann/1.jpg": "ann", "ann/deep/2.png": "ann", "bob/1.jpg": "bob", "loose.jpg": None
    }  # fmt: skip
    assert dataset.name == "people" and all(s.split is None and s.camera is None for s in dataset.samples)
    assert any("1 images lie beside" in note for note in dataset.notes)
    assert len(folder.read(root, split="train").train) == 4


def test_folder_with_splits(tmp_path, crops):
    crops(tmp_path, "train/ann/1.jpg query/bob/1.jpg gallery/bob/2.jpg")
    dataset = folder.read(tmp_path)
    assert [(s.split, s.person) for s in dataset.samples] == [("train", "ann"), ("query", "bob"), ("gallery", "bob")]
    with pytest.raises(DataError, match="splits of its own"):
        folder.read(tmp_path, split="train")
    crops(tmp_path, "zoe/1.jpg")
    with pytest.raises(DataError, match="zoe"):
        folder.read(tmp_path)


def test_folder_empty_or_missing(tmp_path):
    with pytest.raises(DataError, match="empty"):
        folder.read(tmp_path)
    with pytest.raises(DataError, match="nothing"):
        folder.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("vipr:/", "did you mean 'viper'"),
        ("viper:/?splt=1", "did you mean 'split'"),
        ("viper:/?split=10", "less than 10"),
        ("viper", "viper:/path"),
        ("viper:/no/such/folder", "does not exist"),
    ],
)
def test_catalog_refuses_with_the_nearest_name(source, match):
    with pytest.raises(DataError, match=match):
        load_dataset(DataSource.model_validate(source))


def test_every_reader_of_the_catalog_can_be_imported():
    for name in READERS:
        assert isinstance(options_of(name), dict)
