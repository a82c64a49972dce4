"""Lists and protocols beside the images: from other systems they are read, damaged ones are one sentence."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np
import pytest

from miniatures import MINIATURES
from unveil.datasets import load_dataset
from unveil.errors import DataError
from unveil.recipe import DataSource

WITH_LISTS = sorted(name for name, miniature in MINIATURES.items() if miniature.lists)


def load(name: str, root: Path):
    return load_dataset(DataSource(name=name, root=root))


@pytest.fixture
def cuhk03(tmp_path, crops):
    """The extracted form with a protocol of three crops."""
    pytest.importorskip("scipy", reason="scipy is not installed (extra mat)")
    names = ["1_001_1_01.png", "1_001_2_06.png", "1_002_1_01.png", "1_002_2_06.png"]
    return crops(tmp_path / "cuhk03", [f"images_labeled/{name}" for name in names]), names


def protocol(root: Path, **changes: object) -> Path:
    from scipy.io import savemat

    names = np.array(sorted(p.name for p in (root / "images_labeled").iterdir()), dtype=object)
    content = {"filelist": names[:, None], "labels": np.array([1, 1, 2, 2]), "train_idx": np.array([1, 2]),
               "query_idx": np.array([3]), "gallery_idx": np.array([4])}  # fmt: skip
    path = root / "cuhk03_new_protocol_config_labeled.mat"
    savemat(path, {name: value for name, value in (content | changes).items() if value is not None})
    return path


def test_the_published_protocol_is_read(cuhk03):
    root, names = cuhk03
    protocol(root)
    found = load("cuhk03", root)
    assert [(s.path.name, s.person, s.split) for s in found.samples] == [
        (names[0], "1", "train"), (names[1], "1", "train"), (names[2], "2", "query"), (names[3], "2", "gallery"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_idx": np.array([1, 9])}, "train_idx names file 9 of 4"),
        ({"query_idx": np.array([0])}, "query_idx names file 0 of 4"),
        ({"query_idx": np.array([1.5])}, "expected whole numbers"),
        ({"query_idx": np.array([np.nan])}, "expected whole numbers"),
        ({"query_idx": np.array([["x"]])}, "expected whole numbers"),
        ({"gallery_idx": None}, "no variable 'gallery_idx'"),
        ({"filelist": None}, "no variable 'filelist'"),
        ({"labels": np.array([1, 1])}, "4 files and 2 labels"),
        ({"filelist": np.array(["absent.png"] * 4, dtype=object)}, r"names absent\.png, which is not in"),
    ],
)
def test_a_protocol_of_other_values_is_named(cuhk03, changes, message):
    root, _ = cuhk03
    protocol(root, **changes)
    with pytest.raises(DataError, match=message):
        load("cuhk03", root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html>\n<html><head>", "web page"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n", "MATLAB 7.3"),
        (b"\x89HDF\r\n\x1a\n" + bytes(900), "MATLAB 7.3"),
        (b"x" * 700, "no MATLAB file that can be read"),
    ],
)
def test_a_protocol_that_is_another_file_is_one_sentence(cuhk03, content, message):
    root, _ = cuhk03
    path = protocol(root)
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"is not the published protocol of CUHK03: .*{message}"):
        load("cuhk03", root)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8, 0.99])
def test_a_protocol_cut_short_is_one_sentence(cuhk03, share):
    root, _ = cuhk03
    path = protocol(root)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="is not the published protocol"):
        load("cuhk03", root)


@pytest.mark.parametrize("name", WITH_LISTS)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_lists_of_other_systems_are_read(tmp_path, put, name, encoding):
    root = put(name, tmp_path)
    before = load(name, root)
    for file, text in MINIATURES[name].lists.items():
        lines = text.replace("/", "\\") if file.endswith((".txt", ".list")) else text
        (root / file).write_bytes((lines.replace("\n", "\r\n") + "\r\n").encode(encoding))
    after = load(name, root)
    assert [(s.key, s.person, s.camera, s.tracklet) for s in after.samples] == [
        (s.key, s.person, s.camera, s.tracklet) for s in before.samples
    ]


@pytest.mark.parametrize("name", WITH_LISTS)
@pytest.mark.parametrize(
    "content", [b"<html>404</html>", b"\xff\xfe\x00\xd8", b"\x00\x00\x00", b"a\xfc\n", b"x" * 6000 + b" 1,2 3"]
)
def test_lists_that_are_none_are_one_sentence(tmp_path, put, name, content):
    root = put(name, tmp_path)
    for file in MINIATURES[name].lists:
        (root / file).write_bytes(content)
        with pytest.raises(DataError, match=file.replace(".", r"\.")):
            load(name, root)
        (root / file).write_text(MINIATURES[name].lists[file] + "\n")


def test_a_manifest_of_another_system_is_read(tmp_path, crops):
    root = crops(tmp_path, ["a/1.png", "b/2.png", "c\\3.png"])
    text = "path,person\r\na\\1.png,Müller\r\nb/2.png,q\r\nc\\3.png,r\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-be"):
        (root / "manifest.csv").write_bytes(text.encode(encoding))
        found = load("manifest", root)
        assert [(s.key, s.person) for s in found.samples] == [
            ("a/1.png", "Müller"),
            ("b/2.png", "q"),
            ("c\\3.png", "r"),
        ]
    (root / "manifest.csv").write_bytes(codecs.BOM_UTF8 + text.encode("latin-1"))
    with pytest.raises(DataError, match="neither UTF-8 nor UTF-16"):
        load("manifest", root)
