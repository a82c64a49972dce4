"""Manifests: what reads, what round-trips, and what is refused with line and column."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from unveil.data.check import check_dataset
from unveil.data.readers.manifest import read, read_manifest, write_manifest
from unveil.datasets import load_dataset
from unveil.errors import DataError
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample


def write(root, text):
    for name in ("a.png", "b.png", "m.png"):
        Image.fromarray(np.zeros((4, 2), np.uint8)).save(root / name)
    path = root / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_columns(tmp_path):
    path = write(
        tmp_path,
        "\ufeffpath,person,camera,clothes,time,tracklet,parsing,parsing_scheme,split,visible\n"
        "a.png,7,c1,7_1,12.5,t1,m.png,lip20,query,0.5\n"
        "b.png,7,c2,7_1,2024-01-02T03:04:05Z,,m.png,lip20,gallery,\n",
    )
    dataset = read_manifest(path)
    a, b = dataset.samples
    assert (a.key, a.path, a.person, a.camera, a.clothes) == ("a.png", tmp_path / "a.png", "7", "c1", "7_1")
    assert (a.time, a.tracklet, a.parsing, a.split) == (12.5, "t1", tmp_path / "m.png", "query")
    assert a.extra == {"visible": "0.5"} and b.extra == {}
    assert b.tracklet is None and b.time == 1704164645.0
    assert dataset.parsing_scheme == "lip20"
    assert [p.name for p in dataset.protocols] == ["market", "cross_clothes", "same_clothes"]
    assert dataset.notes == ()


def test_what_is_unknown_is_none_and_said(tmp_path):
    dataset = read_manifest(write(tmp_path, "path,person\na.png,1\nb.png,\n"))
    assert [s.person for s in dataset.samples] == ["1", None]
    assert all(s.camera is None and s.split is None for s in dataset.samples)
    assert "person is unknown for 1 of 2 crops" in dataset.notes
    assert "camera is unknown for all of 2 crops" in dataset.notes
    assert dataset.protocol().name == "no_junk" and dataset.protocol().junk == ()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("path,person\n", "empty"),
        ("path,persn\na.png,1\n", "line 1.*'person'.*did you mean 'persn'"),
        ("person\n1\n", "'path'"),
        ("path,person,path\na.png,1,a.png\n", "twice"),
        ("path,person,split\na.png,1,trian\n", "line 2, column 'split'.*'trian'.*did you mean 'train'"),
        ("path,person,time\na.png,1,noon\n", "line 2, column 'time'"),
        ("path,person,time\na.png,1,nan\n", "line 2, column 'time'"),
        ("path,person\na.png,1\nc.png,2\n", "line 3, column 'path'.*c.png"),
        ("path,person,parsing\na.png,1,x.png\n", "line 2, column 'parsing'"),
        ("path,person\na.png\n", "line 2: expected 2 cells, found 1"),
        ("path,person\n,1\n", "line 2, column 'path'"),
        ("path,person\na.png,1\na.png,2\n", "more than once"),
        ("path,person,parsing,parsing_scheme\na.png,1,m.png,lip20\nb.png,1,m.png,atr18\n", "parsing_scheme"),
    ],
)
def test_wrong_manifests_are_refused(tmp_path, text, match):
    with pytest.raises(DataError, match=match):
        read_manifest(write(tmp_path, text))


def test_missing_manifest(tmp_path):
    with pytest.raises(DataError, match="no such manifest"):
        read(tmp_path)


def test_split_option_is_for_manifests_without_splits(tmp_path):
    write(tmp_path, "path,person\na.png,1\nb.png,1\n")
    source = DataSource.model_validate(f"manifest:{tmp_path}?split=train")
    dataset = load_dataset(source)
    assert len(dataset.train) == 2 and not any(note.startswith("split") for note in dataset.notes)
    write(tmp_path, "path,person,split\na.png,1,train\nb.png,1,train\n")
    with pytest.raises(DataError, match="splits of its own"):
        load_dataset(source)
    with pytest.raises(DataError, match="option 'split'"):
        load_dataset(DataSource.model_validate(f"manifest:{tmp_path}?split=test"))


def test_round_trip(tmp_path):
    path = write(
        tmp_path,
        "path,person,camera,clothes,time,tracklet,parsing,parsing_scheme,split,visible,note\n"
        'a.png,7,c1,7_1,12.5,t1,m.png,atr18,query,0.5,"a, b"\n'
        "b.png,,c2,7_1,,,m.png,atr18,,,\n",
    )
    first = read_manifest(path)
    (tmp_path / "deep").mkdir()
    write_manifest(first, tmp_path / "deep" / "again.csv")
    second = read_manifest(tmp_path / "deep" / "again.csv")
    assert [s.key for s in second.samples] == ["../a.png", "../b.png"]
    assert second.parsing_scheme == "atr18"
    for one, two in zip(first.samples, second.samples, strict=True):
        assert one.path.samefile(two.path) and one.parsing.samefile(two.parsing)
        assert dataclasses.replace(one, key="", path=two.path, parsing=None) == dataclasses.replace(
            two, key="", parsing=None
        )


def test_writing_needs_files_and_never_leaves_half_a_file(tmp_path):
    write(tmp_path, "path,person\na.png,1\n")
    good = Sample("a", tmp_path / "a.png", person="1")
    with pytest.raises(DataError, match="bytes"):
        write_manifest(Dataset("x", (good, Sample("b", data=b"1", person="1"))), tmp_path / "out.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "m.png", "manifest.csv"]


def test_one_outfit_each_where_none_is_labelled(tmp_path):
    def asked(value):
        return DataSource(name="manifest", root=str(tmp_path / "manifest.csv"), options={"outfits": value})

    write(tmp_path, "path,person\na.png,7\nb.png,7\nm.png,8\n")
    dataset = load_dataset(asked("person"))
    assert [s.clothes for s in dataset.samples] == ["7", "7", "8"]
    assert "every person is said to wear one outfit" in dataset.notes
    assert not any("clothes is unknown" in note for note in dataset.notes)
    with pytest.raises(DataError, match="must be 'person', found 'day'"):
        load_dataset(asked("day"))
    write(tmp_path, "path,person,clothes\na.png,7,red\nb.png,7,blue\n")
    with pytest.raises(DataError, match="says who wears what"):
        load_dataset(asked("person"))


def test_crops_of_unknown_persons_keep_the_protocol_and_minus_one_is_said(tmp_path, crops):
    crops(tmp_path, "q.png g.png u1.png u2.png")
    table = "path,person,camera,split\nq.png,a,1,query\ng.png,a,2,gallery\nu1.png,{0},,gallery\nu2.png,{0},2,gallery\n"
    (tmp_path / "manifest.csv").write_text(table.format(""))
    dataset = load_dataset(DataSource(name="manifest", root=tmp_path))
    assert [p.name for p in dataset.protocols] == ["market"]
    assert not any("-1" in note for note in dataset.notes)
    (tmp_path / "manifest.csv").write_text(table.format("-1"))
    report = check_dataset(load_dataset(DataSource(name="manifest", root=tmp_path)))
    ((note, files),) = report.listed.items()
    assert note.startswith("2 crops have the person -1") and files == ("u1.png", "u2.png") and not report.clean
