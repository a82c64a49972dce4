"""CUHK03, MSMT17, OPReID, and the small sets with ten random halves."""

import numpy as np
import pytest
from PIL import Image

from unveil.data.readers import caviar, cuhk03, cuhk03_extract, grid, ilids, msmt17, opreid, pes3d, prid
from unveil.errors import DataError, MissingExtraError


def by_split(dataset):
    return [len(part) for part in (dataset.train, dataset.query, dataset.gallery)]


NP_FORM = """bounding_box_train/0001_c1_1.png query/0003_c1_1.png query/0003_c2_1.png
bounding_box_test/0003_c1_2.png bounding_box_test/0003_c2_2.png"""


@pytest.mark.parametrize("boxes", ["labeled", "detected"])
def test_cuhk03_np_form(tmp_path, crops, rules, boxes):
    crops(tmp_path / "cuhk03-np" / boxes, NP_FORM)
    for given in (tmp_path, tmp_path / "cuhk03-np"):
        dataset = cuhk03.read(given, boxes=boxes)
        assert dataset.name == f"cuhk03_{boxes}"
        assert by_split(dataset) == [1, 2, 2]
    assert rules(dataset, dataset.protocol())[0] == {
        "query/0003_c1_1.png": {"bounding_box_test/0003_c2_2.png"},
        "query/0003_c2_1.png": {"bounding_box_test/0003_c1_2.png"},
    }
    assert dataset.published["gallery images"] == {"labeled": 5328, "detected": 5332}[boxes]


def test_cuhk03_extracted_form_follows_the_protocol_file(tmp_path, crops):
    io = pytest.importorskip("scipy.io", reason="SciPy (extra 'mat') reads the .mat form of CUHK03")
    names = ["1_001_1_01.png", "1_001_2_06.png", "2_007_1_01.png", "2_007_2_06.png"]
    root = crops(tmp_path / "cuhk03", [f"images_detected/{name}" for name in [*names, "5_009_1_01.png"]])
    config = {
        "filelist": np.array(names, dtype=object)[:, None],
        "labels": np.array([[1], [1], [107], [107]]),
        "camId": np.array([[1], [2], [1], [2]]),
        "train_idx": np.array([[1], [2]]),
        "query_idx": np.array([[3]]),
        "gallery_idx": np.array([[4]]),
    }
    io.savemat(root / "cuhk03_new_protocol_config_detected.mat", config)
    dataset = cuhk03.read(tmp_path, boxes="detected")
    assert [(s.key, s.person, s.camera, s.split) for s in dataset.samples] == [
        ("images_detected/1_001_1_01.png", "1", "1", "train"),
        ("images_detected/1_001_2_06.png", "1", "2", "train"),
        ("images_detected/2_007_1_01.png", "107", "1", "query"),
        ("images_detected/2_007_2_06.png", "107", "2", "gallery"),
    ]
    (root / "images_detected" / names[3]).unlink()
    with pytest.raises(DataError, match=r"the protocol names 2_007_2_06\.png"):
        cuhk03.read(root, boxes="detected")


def test_cuhk03_says_what_to_do(tmp_path, crops, monkeypatch):
    crops(tmp_path, "images_labeled/1_001_1_01.png")
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[mat\]"):
        cuhk03.read(tmp_path)
    (tmp_path / "cuhk03_release").mkdir()
    (tmp_path / "cuhk03_release" / "cuhk-03.mat").touch()
    with pytest.raises(DataError, match=r"no folder images_detected; \?extract=true"):
        cuhk03.read(tmp_path, boxes="detected")


def test_cuhk03_crops_are_unpacked_from_the_archive(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py (extra 'mat') unpacks cuhk-03.mat")
    archive = tmp_path / "cuhk03_release" / "cuhk-03.mat"
    archive.parent.mkdir()
    colours = {0: 10, 5: 20, 9: 30}
    with h5py.File(archive, "w") as mat:
        people = mat.create_dataset("pair", (10, 2), h5py.ref_dtype)
        for index in range(10):
            for person in range(2):
                name = f"image{index}_{person}"
                # (channels, width, height), as MATLAB's (height, width, channels) is stored; others are empty cells.
                pixels = np.full((3, 4, 6), colours[index] + person, np.uint8) if index in colours else [0, 0]
                people[index, person] = mat.create_dataset(name, data=pixels).ref
        detected = mat.create_dataset("detected", (1, 1), h5py.ref_dtype)
        detected[0, 0] = people.ref
    cuhk03_extract.extract(archive, "detected", target=tmp_path / "images_detected")
    found = {p.name: Image.open(p) for p in (tmp_path / "images_detected").iterdir()}
    assert sorted(found) == [f"1_00{p}_{v}_{i:02d}.png" for p in (1, 2) for v, i in ((1, 1), (2, 6), (2, 10))]
    assert found["1_002_2_06.png"].size == (4, 6) and found["1_002_2_06.png"].getpixel((0, 0)) == (21, 21, 21)
    with pytest.raises(DataError, match="not the published"):
        cuhk03_extract.extract(archive, "labeled", target=tmp_path / "images_labeled")
    assert not (tmp_path / "images_labeled").exists()


@pytest.mark.parametrize("folders", [("train", "test"), ("mask_train_v2", "mask_test_v2")])
def test_msmt17_lists_cameras_and_daytime(tmp_path, crops, rules, folders):
    train = ["0000/0000_000_01_0303morning_0008_0.jpg", "0001/0001_000_05_0303noon_0001_0.jpg"]
    test = [f"0000/0000_00{i}_{c}_0303evening_0001_0.jpg" for i, c in enumerate(("14", "14", "02"))]
    names = [f"{folder}/{n}" for folder, files in zip(folders, (train, test), strict=True) for n in files]
    root = crops(tmp_path / "MSMT17_V1", names)
    lists = {"train": train[:1], "val": train[1:], "query": test[:1], "gallery": test[1:]}
    for name, files in lists.items():
        (root / f"list_{name}.txt").write_text("".join(f"{f} 0\n" for f in files))
    dataset = msmt17.read(tmp_path)
    assert by_split(dataset) == [2, 1, 2]
    assert len(msmt17.read(root, val=False).train) == 1
    assert (dataset.query[0].camera, dataset.query[0].extra["daytime"]) == ("14", "0303evening")
    matches, junk = rules(dataset, dataset.protocol())
    assert list(matches.values()) == [{f"{folders[1]}/{test[2]}"}]
    assert list(junk.values()) == [{f"{folders[1]}/{test[1]}"}]
    (root / folders[1] / test[2]).unlink()
    with pytest.raises(DataError, match=r"1 of 2 listed images are missing.*extracted only in part"):
        msmt17.read(root)


@pytest.fixture
def prid_root(tmp_path, crops):
    a = [f"single_shot/cam_a/person_{n:04d}.png" for n in (*range(1, 7), 201, 202)]
    b = [f"single_shot/cam_b/person_{n:04d}.png" for n in (*range(1, 7), 201, 203, 204)]
    return crops(tmp_path / "prid_2011", a + b)


def test_prid_halves_the_shared_people_and_keeps_the_others_apart(prid_root, rules):
    dataset = prid.read(prid_root, split=1)
    assert by_split(dataset) == [6, 3, 6]
    assert {s.person for s in dataset.query} == {s.person for s in dataset.gallery if not s.person.startswith("b")}
    assert {s.person for s in dataset.gallery} >= {"b201", "b203", "b204"}
    assert [s.person for s in dataset.samples if s.split is None] == ["a201", "a202"]
    assert all(len(found) == 1 for found in rules(dataset, dataset.protocol())[0].values())


def test_splits_are_seeded_and_differ(prid_root):
    splits = [{s.person for s in prid.read(prid_root, split=i).train} for i in range(10)]
    assert splits == [{s.person for s in prid.read(prid_root, split=i).train} for i in range(10)]
    assert len(set(map(frozenset, splits))) > 3


def test_grid_distractors_are_never_a_match(tmp_path, crops, rules):
    names = [
        f"{f}/{n:04d}_{c}_25004_107_32_106_221.jpeg" for n in range(1, 5) for f, c in (("probe", 1), ("gallery", 8))
    ]
    names += ["gallery/0000_5_1_1_1_1_1.jpeg", "gallery/0000_5_2_1_1_1_1.jpeg"]
    dataset = grid.read(crops(tmp_path / "underground_reid", names), split=2)
    assert by_split(dataset) == [4, 2, 4]
    for query, found in rules(dataset, dataset.protocol())[0].items():
        assert [key[8:12] for key in found] == [query[6:10]]


GRID = [f"{f}/{n:04d}_{c}_25004_107_32_106_221.jpeg" for n in range(1, 9) for f, c in (("probe", 1), ("gallery", 8))]


def partitions(path, halves, fields=("a", "b", "trainIdx")):
    """Write a file as GRID's: a cell a split, in it a structure whose third field lists the people to train on."""
    io = pytest.importorskip("scipy.io", reason="SciPy (extra 'mat') reads the published splits of GRID")
    cells = np.empty((1, len(halves)), dtype=object)
    for number, half in enumerate(halves):
        cells[0, number] = {fields[0]: "text", fields[1]: np.arange(3.5), fields[2]: np.array([half])}
    io.savemat(path, {"trainIdxAll": cells})


def test_grid_takes_the_published_splits_where_they_are(tmp_path, crops):
    root = crops(tmp_path / "underground_reid", GRID)
    drawn = grid.read(root, split=3)
    assert any("splits are drawn here" in note for note in drawn.notes)
    halves = [[1 + (n + k) % 8 for k in range(4)] for n in range(10)]
    partitions(root / "features_and_partitions.mat", halves)
    for split, half in enumerate(halves):
        dataset = grid.read(root, split=split)
        assert {int(s.person) for s in dataset.train} == set(half) and by_split(dataset) == [8, 4, 4]
        assert any("published ones" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("halves", "message"),
    [
        ([[1, 2, 3]] * 10, "names half of the 8 probes"),
        ([[1, 2, 3, 99]] * 10, "names half"),
        ([[1, 2, 3, 4]], "10 splits"),
    ],
)
def test_grid_refuses_partitions_that_do_not_fit(tmp_path, crops, halves, message):
    root = crops(tmp_path / "underground_reid", GRID)
    partitions(root / "features_and_partitions.mat", halves)
    with pytest.raises(DataError, match=message):
        grid.read(root, split=5)
    (root / "features_and_partitions.mat").write_bytes(b"no MATLAB file, but long enough to have a header " * 9)
    with pytest.raises(DataError, match="trainIdxAll with 10 splits"):
        grid.read(root)


def test_grid_needs_scipy_only_for_published_splits(tmp_path, crops, monkeypatch):
    root = crops(tmp_path / "underground_reid", GRID)
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    assert grid.read(root).train
    (root / "features_and_partitions.mat").touch()
    with pytest.raises(MissingExtraError, match=r"unveil\[mat\]"):
        grid.read(root)


def test_ilids_draws_one_query_and_one_gallery_crop_a_test_person(tmp_path, crops, rules):
    names = [f"Persons/{person:04d}{i:03d}.jpg" for person in range(1, 6) for i in range(1, 5)]
    crops(tmp_path / "i-LIDS_Pedestrian", names)
    dataset = ilids.read(tmp_path)
    assert by_split(dataset) == [8, 3, 3]
    assert all(len(found) == 1 for found in rules(dataset, dataset.protocol())[0].values())
    other = ilids.read(tmp_path, split=1)
    assert {s.key for s in other.query} != {s.key for s in dataset.query}


def test_caviar_views_by_index(tmp_path, crops):
    names = [f"CAVIARa/{person:04d}{i:03d}.jpg" for person in range(1, 5) for i in range(1, 21)]
    names += [f"CAVIARa/0009{i:03d}.jpg" for i in range(1, 11)]
    dataset = caviar.read(crops(tmp_path / "CAVIAR4REID", names))
    assert by_split(dataset) == [50, 20, 20]
    assert {s.camera for s in dataset.query} == {"1"} and {s.camera for s in dataset.gallery} == {"2"}
    assert {s.camera for s in dataset.train if s.person == "0009"} == {None}
    assert (dataset.protocol().shots, dataset.protocol().draws) == (1, 10)


def test_3dpes_never_finds_a_person_by_its_own_sequence(tmp_path, crops, rules):
    names = [f"RGB/{p}_{s}_FRAME_{f}_RGB.bmp" for p in range(1, 7) for s in (1, 2, 3) for f in (1, 2)]
    dataset = pes3d.read(crops(tmp_path / "3DPeS", [*names, "RGB/7_1_FRAME_1_RGB.bmp", "RGB/odd.bmp"]))
    assert len({s.person for s in dataset.train}) == 3
    assert any("1 of 38 image names" in note for note in dataset.notes)
    tracklet = {s.key: s.tracklet for s in dataset.samples}
    matches, junk = rules(dataset, dataset.protocol())
    assert all(len(found) == 4 for found in matches.values()) and not any(junk.values())
    assert all(tracklet[g] != tracklet[q] for q, found in matches.items() for g in found)


def test_a_flat_folder_without_the_set_is_said(tmp_path, crops):
    with pytest.raises(DataError, match=r"no image named as in ilids here or in Persons"):
        ilids.read(crops(tmp_path, "a/b.jpg"))


def test_opreid_from_a_table(tmp_path, crops, rules):
    crops(tmp_path, "a.jpg b.jpg c.jpg d.jpg")
    table = tmp_path / "manifest.csv"
    table.write_text("split,path,pid,camid\ngallery,d.jpg,2,2\ngallery,c.jpg,2,1\nquery,b.jpg,2,1\ntrain,a.jpg,1,\n")
    dataset = opreid.read(tmp_path)
    assert dataset.protocol().name == "market"
    assert rules(dataset, dataset.protocol()) == ({"b.jpg": {"d.jpg"}}, {"b.jpg": {"c.jpg"}})
    table.write_text("split,path,pid\nquery,b.jpg,2\ngallery,c.jpg,2\n")
    assert rules(opreid.read(table), opreid.read(table).protocol())[0] == {"b.jpg": {"c.jpg"}}
    for text, message in (
        ("split,path\n", "missing pid"),
        ("split,path,pid\ntest,a.jpg,1\n", "line 2: split must be one of"),
        ("split,path,pid\nquery,zz.jpg,1\n", r"line 2: .*zz\.jpg does not exist"),
        ("split,path,pid\nquery,a.jpg,\n", "line 2: pid is empty"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            opreid.read(table)
