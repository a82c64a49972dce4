"""Benchmarks of changing clothes: PRCC, LTCC, VC-Clothes, DeepChange, LaST, CCVID, and the Occ- versions."""

import numpy as np
import pytest

from unveil.data.readers import ccvid, deepchange, last, ltcc, prcc, vc_clothes
from unveil.errors import DataError
from unveil.evaluation.evaluate import evaluate, evaluation_samples
from unveil.evaluation.protocols import select
from unveil.records import Embedding

PRCC = """rgb/train/001/A_cropped_rgb001.jpg rgb/train/001/B_cropped_rgb001.jpg rgb/train/001/C_cropped_rgb001.jpg
rgb/val/001/A_cropped_rgb500.jpg
rgb/test/A/010/cropped_rgb001.jpg rgb/test/A/010/cropped_rgb002.jpg rgb/test/A/011/cropped_rgb001.jpg
rgb/test/B/010/cropped_rgb001.jpg rgb/test/C/010/cropped_rgb001.jpg rgb/test/C/011/cropped_rgb001.jpg"""


def test_prcc_outfits_and_splits(tmp_path, crops):
    root = crops(tmp_path / "prcc", PRCC)
    dataset = prcc.read(root)
    assert {s.key: s.clothes for s in dataset.train} == {
        "rgb/train/001/A_cropped_rgb001.jpg": "001",
        "rgb/train/001/B_cropped_rgb001.jpg": "001",
        "rgb/train/001/C_cropped_rgb001.jpg": "001C",
    }
    assert {(s.camera, s.person, s.clothes) for s in dataset.query} == {
        ("B", "010", "010"),
        ("C", "010", "010C"),
        ("C", "011", "011C"),
    }
    assert len(prcc.read(root, val=True).train) == 4
    assert [s.key for s in prcc.read(tmp_path).samples] == [s.key for s in dataset.samples]


def test_prcc_protocols(tmp_path, crops, rules):
    dataset = prcc.read(crops(tmp_path / "prcc", PRCC))
    assert dataset.protocol().name == "prcc_multi"
    matches, junk = rules(dataset, dataset.protocol())
    assert matches == {
        "rgb/test/C/010/cropped_rgb001.jpg": {"rgb/test/A/010/cropped_rgb001.jpg", "rgb/test/A/010/cropped_rgb002.jpg"},
        "rgb/test/C/011/cropped_rgb001.jpg": {"rgb/test/A/011/cropped_rgb001.jpg"},
    }
    assert not any(junk.values())
    assert list(rules(dataset, dataset.protocol("prcc_multi_sc"))[0]) == ["rgb/test/B/010/cropped_rgb001.jpg"]


def test_prcc_single_shot_draws_one_crop_a_person_and_stays_the_same(tmp_path, crops):
    dataset = prcc.read(crops(tmp_path / "prcc", PRCC))
    single = dataset.protocol("prcc_single")
    assert (single.shots, single.draws, single.seed) == (1, 10, 3)
    drawn = []
    for draw in range(single.draws):
        _, gallery = select(dataset.samples, single, draw=draw)
        assert sorted(dataset.samples[i].person for i in gallery) == ["010", "011"]
        assert (gallery == select(dataset.samples, single, draw=draw)[1]).all()
        drawn.append(tuple(dataset.samples[i].key for i in gallery))
    assert len(set(drawn)) == 2


def test_occ_prcc_is_the_same_filename_pattern(tmp_path, crops):
    dataset = prcc.read_occ(crops(tmp_path / "occ_prcc", PRCC))
    assert dataset.name == "occ_prcc"
    assert [s.key for s in prcc.read_occ(tmp_path).samples] == [s.key for s in dataset.samples]


LTCC = """train/001_1_c1_000001.png train/001_2_c3_000002.png
query/094_1_c9_015833.png
test/094_1_c9_000001.png test/094_2_c9_000002.png test/094_1_c3_000003.png test/094_2_c12_000004.png
test/095_1_c9_000005.png"""


@pytest.fixture
def ltcc_set(tmp_path, crops):
    return ltcc.read(crops(tmp_path / "my_c1_data" / "LTCC_ReID", LTCC))


@pytest.mark.parametrize(
    ("protocol", "count"),
    [("ltcc_standard", {2, 3}), ("ltcc_cc", {3}), ("ltcc_sc", {2})],
)
def test_ltcc_junk_by_hand(ltcc_set, rules, protocol, count):
    gallery = [key for key in LTCC.split() if key.startswith("test/094")]
    matches, junk = rules(ltcc_set, ltcc_set.protocol(protocol))
    assert matches == {"query/094_1_c9_015833.png": {gallery[i] for i in count}}
    assert junk == {"query/094_1_c9_015833.png": {gallery[i] for i in range(4) if i not in count}}


def test_ltcc_labels_come_from_the_basename(ltcc_set):
    assert [(s.person, s.camera, s.clothes) for s in ltcc_set.query] == [("094", "9", "094_1")]
    assert ltcc_set.protocol().name == "ltcc_standard"


def test_occ_ltcc_reports_cross_clothes(tmp_path, crops):
    dataset = ltcc.read_occ(crops(tmp_path / "Occ_LTCC", LTCC))
    assert (dataset.name, dataset.protocol().name) == ("occ_ltcc", "ltcc_cc")


def test_vc_clothes_filters_cameras_of_query_and_gallery(tmp_path, crops, rules):
    names = ["train/0001-01-01-01.jpg"]
    names += [
        f"{folder}/0300-0{c}-0{2 if c == 4 else 1}-0{i}.jpg"
        for i, folder in enumerate(("query", "gallery"))
        for c in (2, 3, 4)
    ]
    dataset = vc_clothes.read(crops(tmp_path / "VC-Clothes", names))
    assert dataset.query[0].clothes == "0300-01" and dataset.query[0].camera == "2"
    same = rules(dataset, dataset.protocol("vc_sc"))[0]
    assert same == {
        "query/0300-02-01-00.jpg": {"gallery/0300-03-01-01.jpg"},
        "query/0300-03-01-00.jpg": {"gallery/0300-02-01-01.jpg"},
    }
    cross = rules(dataset, dataset.protocol("vc_cc"))[0]
    assert cross == {
        "query/0300-03-01-00.jpg": {"gallery/0300-04-02-01.jpg"},
        "query/0300-04-02-00.jpg": {"gallery/0300-03-01-01.jpg"},
    }
    assert len(rules(dataset, dataset.protocol())[0]) == 3


def test_deepchange_junk_is_the_tracklet_not_the_camera(tmp_path, crops, rules):
    root = crops(
        tmp_path / "DeepChangeDataset",
        """train-set/P1_C01_200101_1.jpg test-set-query/P7_C02_200101_1.jpg
        test-set-gallery/P7_C02_200101_2.jpg test-set-gallery/P7_C02_200101_3.jpg
        test-set-gallery/P7_C02_200505_4.jpg""",
    )
    lists = {"train-set": "P1_C01_200101_1.jpg,1", "test-set-query": "P7_C02_200101_1.jpg,5"}
    lists["test-set-gallery"] = "P7_C02_200101_2.jpg,5\nP7_C02_200101_3.jpg,6\nP7_C02_200505_4.jpg,7"
    for folder, text in lists.items():
        (root / f"{folder}-bbox.txt").write_text(text + "\n")
    dataset = deepchange.read(root)
    standard = rules(dataset, dataset.protocol())[0]
    cross = rules(dataset, dataset.protocol("deepchange_cc"))[0]
    query, gallery = "test-set-query/P7_C02_200101_1.jpg", "test-set-gallery/P7_C02_"
    assert standard == {query: {f"{gallery}200101_3.jpg", f"{gallery}200505_4.jpg"}}
    assert cross == {query: {f"{gallery}200505_4.jpg"}}
    (root / "train-set-bbox.txt").write_text("")
    with pytest.raises(DataError, match=r"P1_C01_200101_1\.jpg is not in train-set-bbox\.txt"):
        deepchange.read(root)


def test_last_knows_outfits_in_training_only(tmp_path, crops):
    names = """train/000001/000001_film_12_3.jpg val/query/000010_a_1.jpg val/gallery/000010/000010_a_2.jpg
    test/query/000020_a_1.jpg test/gallery/000020/000020_b_2.jpg test/gallery/000021/000021_b_2.jpg"""
    root = crops(tmp_path / "last", names)
    dataset = last.read(root)
    assert [s.clothes for s in dataset.samples] == ["000001_3", None, None, None]
    assert [s.person for s in dataset.query] == ["000020"]
    assert [s.person for s in last.read(root, part="val").gallery] == ["000010"]


def test_ccvid_lists_sessions_and_frames(tmp_path, crops, rules):
    frames = [
        f"{t}/0000{i}.jpg"
        for t in ("session1/001_01", "session1/002_01", "session2/002_01", "session3/002_01")
        for i in range(3)
    ]
    root = crops(tmp_path / "CCVID", frames)
    (root / "train.txt").write_text("session1/001_01\t001\tu1_l1\n")
    (root / "query.txt").write_text("session1/002_01\t002\tu1_l1\n")
    (root / "gallery.txt").write_text("session2/002_01\t002\tu2_l1\nsession3/002_01\t002\tu1_l1\nbroken line\n")
    dataset = ccvid.read(root, every=2)
    assert [len(x) for x in (dataset.train, dataset.query, dataset.gallery)] == [2, 2, 4]
    assert {s.camera for s in dataset.gallery} == {"1", "3-1"}
    assert dataset.query[0].tracklet == "session1/002_01" and dataset.query[0].clothes == "002_u1_l1"
    assert any("gallery.txt: 'broken line'" in note for note in dataset.notes)
    standard = rules(dataset, dataset.protocol())[0]["session1/002_01/00000.jpg"]
    assert standard == {"session3/002_01/00000.jpg", "session3/002_01/00002.jpg"}
    assert rules(dataset, dataset.protocol("ccvid_cc"))[0]["session1/002_01/00000.jpg"] == set()
    assert len(ccvid.read(tmp_path).train) == 3


def test_reference_row_through_the_files(tmp_path, crops):
    """Distances .1 to .6, six gallery crops: R-1 and AP of the general, same-clothes and cross-clothes rules."""
    labels = ((1, 0, 0), (2, 1, 5), (1, 1, 0), (1, 2, 1), (3, 1, 7), (1, 3, 2))
    names = [f"test/{pid:03d}_{outfit}_c{camera}_{i:06d}.png" for i, (pid, camera, outfit) in enumerate(labels, 1)]
    dataset = ltcc.read(crops(tmp_path, ["query/001_0_c0_000000.png", *names, "train/009_1_c1_000000.png"]))
    samples = evaluation_samples(dataset)
    # One dimension: the query lies at 0, the i-th gallery crop at i / 10.
    vectors = np.array([[[int(s.key[-10:-4]) / 10]] for s in samples], dtype=np.float32)
    embedding = Embedding(vectors, np.ones(vectors.shape[:2], np.float32), metric="euclidean")
    found = {p.name: evaluate(embedding, samples, protocol=p) for p in dataset.protocols}
    assert found["ltcc_standard"].cmc[1] == found["ltcc_cc"].cmc[1] == 0
    assert found["ltcc_standard"].mean_ap == pytest.approx(0.588889, abs=1e-6)
    assert found["ltcc_sc"].mean_ap == found["ltcc_cc"].mean_ap == pytest.approx(0.5)
