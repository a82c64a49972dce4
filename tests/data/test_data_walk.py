"""Folders as people have them: what other programs left there, links, loops, and files whose names tell nothing."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from films import write_film
from generated import figure
from miniatures import MINIATURES
from unveil.cli.sources import crops_of
from unveil.data import prefetch
from unveil.data.check import check_dataset
from unveil.data.media_types import media_type
from unveil.data.walk import LeftOutNote, walk
from unveil.datasets import load_dataset
from unveil.errors import DataError
from unveil.recipe import DataSource
from waiting import on_warning


def image(path: Path, number: int = 0, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(figure(number, 0, 0)).save(path, **options)
    return path


def names(paths: list[Path], below: Path) -> list[str]:
    return [path.relative_to(below).as_posix() for path in paths]


@pytest.fixture
def cluttered(tmp_path: Path) -> Path:
    """Two people, and what Jupyter, macOS, Windows, two NAS systems and a trash can leave beside them."""
    root = tmp_path / "people"
    for number, name in enumerate(("anna/1.png", "anna/2.png", "ben/1.png")):
        image(root / name, number)
    left = (
        ".ipynb_checkpoints/1-checkpoint.png", "anna/.ipynb_checkpoints/1-checkpoint.png", "anna/._1.png",
        "__MACOSX/anna/1.png", "ben/@eaDir/1.png", "#recycle/3.png", "$RECYCLE.BIN/4.png", "anna/Thumbs.db",
        "desktop.ini",
    )  # fmt: skip
    for number, name in enumerate(left, 10):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png") and "._" not in name:
            image(path, number)
        else:
            path.write_bytes(b"\0\5\26\7 of another program")
    return root


def test_what_other_programs_leave_is_no_data_and_is_counted(cluttered):
    found = walk(cluttered)
    assert names(found.images, cluttered) == ["anna/1.png", "anna/2.png", "ben/1.png"]
    assert len(found.left_out.foreign) == 9
    assert "9 hidden, or of other programs (#recycle, $RECYCLE.BIN, .ipynb_checkpoints, ...)" in str(found.left_out)
    dataset = load_dataset(DataSource(name="folder", root=cluttered))
    assert {sample.person for sample in dataset.samples} == {"anna", "ben"}
    notes = [note for note in dataset.notes if isinstance(note, LeftOutNote)]
    assert len(notes) == 1 and "9 hidden" in notes[0]
    assert check_dataset(dataset).clean


def test_commands_say_it_on_standard_error_and_take_the_same_files(cluttered, capsys):
    dataset = crops_of(str(cluttered))
    assert [sample.key for sample in dataset.samples] == ["anna/1.png", "anna/2.png", "ben/1.png"]
    assert [sample.key for sample in crops_of(f"folder:{cluttered}").samples] == [s.key for s in dataset.samples]
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("9 hidden, or of other programs" in line for line in said)


@pytest.mark.parametrize("splits", [False, True])
def test_parsing_maps_beside_the_crops_are_no_people(tmp_path, splits):
    for number, person in enumerate(("anna", "ben")):
        folder = f"{'gallery/' if splits else ''}{person}"
        image(tmp_path / folder / "1.png", number)
        for scheme in ("pab6", "world"):  # as `unveil parse` and a rendered world have them
            image(tmp_path / "parsing" / scheme / folder / "1.png.png", number)
    image(tmp_path / "anna/parsing/2.png", 3)  # a name that a folder of people may have
    if splits:
        (tmp_path / "anna/parsing/2.png").rename(tmp_path / "gallery/anna/2.png")
        shutil.rmtree(tmp_path / "anna")
    for dataset in (crops_of(str(tmp_path)), load_dataset(DataSource(name="folder", root=tmp_path))):
        assert len(dataset.samples) == 3 and not any(s.key.startswith("parsing") for s in dataset.samples)
        assert any("1 tree of parsing maps (parsing)" in note for note in dataset.notes)


@pytest.mark.parametrize("name", sorted(set(MINIATURES) - {"occluded_duke"}))
def test_every_reader_leaves_them_out_and_says_so(tmp_path, put, name):
    root = put(name, tmp_path)
    before = load_dataset(DataSource(name=name, root=root))
    first = before.samples[0].path
    assert first is not None
    image(first.parent / ".ipynb_checkpoints" / f"{first.stem}-checkpoint{first.suffix}", 3)
    image(first.parent / f"._{first.name}", 4)
    after = load_dataset(DataSource(name=name, root=root))
    assert [s.key for s in after.samples] == [s.key for s in before.samples]
    if MINIATURES[name].strange:  # readers that follow lists look into no folder
        said = [note for note in after.notes if isinstance(note, LeftOutNote)]
        assert len(said) == 1 and "2 hidden, or of other programs" in said[0]


def test_splits_may_have_hidden_folders_beside_them(cluttered):
    root = cluttered.parent / "split"
    (root / "train").mkdir(parents=True)
    cluttered.rename(root / "train" / "people")
    image(root / ".cache" / "1.png")
    image(root / "stray.png")
    dataset = load_dataset(DataSource(name="folder", root=root))
    assert {sample.split for sample in dataset.samples} == {"train"}
    (note,) = (note for note in dataset.notes if isinstance(note, LeftOutNote))
    assert "10 hidden" in note and "1 file of another kind (stray.png)" in note


def test_links_to_folders_are_followed_and_loops_are_cut(tmp_path):
    people, nas = tmp_path / "people", tmp_path / "nas"
    image(people / "anna" / "1.png")
    image(nas / "ben" / "1.png", 1)
    image(nas / "ben" / "deep" / "2.png", 2)
    (people / "ben").symlink_to(nas / "ben")
    (people / "linked.png").symlink_to(nas / "ben" / "1.png")
    (people / "anna" / "up").symlink_to(people)  # a loop
    (people / "anna" / "above").symlink_to(tmp_path)  # would take in everything around
    (nas / "ben" / "deep" / "round").symlink_to(people / "ben")
    (people / "gone").symlink_to(tmp_path / "nowhere")
    (people / "self.png").symlink_to("self.png")
    (people / "again").symlink_to(people / "anna")  # what is there already
    found = walk(people)
    assert names(found.images, people) == ["anna/1.png", "ben/1.png", "ben/deep/2.png", "linked.png"]
    assert sorted(found.left_out.links) == [
        "again", "anna/above", "anna/up", "ben/deep/round", "gone", "self.png",
    ]  # fmt: skip
    dataset = load_dataset(DataSource(name="folder", root=people))
    assert {sample.person for sample in dataset.samples} == {"anna", "ben", None}
    assert any("6 links that lead nowhere or back" in note for note in dataset.notes)


def test_a_folder_that_is_closed_is_left_out_and_so_is_a_link_to_it(tmp_path):
    image(tmp_path / "open" / "1.png")
    image(tmp_path / "sent" / "other" / "2.png")
    (tmp_path / "way").symlink_to(tmp_path / "sent")
    found = walk(tmp_path, without=tmp_path / "way")
    assert names(found.images, tmp_path) == ["open/1.png"]
    assert (found.left_out.closed, found.left_out.links) == (["sent"], ["way"])
    inside = walk(tmp_path / "sent" / "other", without=tmp_path / "sent")
    assert names(inside.images, tmp_path) == ["sent/other/2.png"] and str(inside.left_out) == ""


def test_many_links_to_each_other_end(tmp_path):
    for a in range(12):
        image(tmp_path / "all" / f"d{a}" / "1.png", a)
        for b in range(12):
            (tmp_path / "all" / f"d{a}" / f"to{b}").symlink_to(tmp_path / "all" / f"d{b}")
    found = walk(tmp_path / "all")
    assert len(found.images) == 12 and len(found.left_out.links) == 144


def test_a_benchmark_whose_people_are_links_is_read(tmp_path, put):
    root = put("prcc", tmp_path)
    before = load_dataset(DataSource(name="prcc", root=root))
    person = root / "rgb" / "test" / "A" / "010"
    person.rename(tmp_path / "elsewhere")
    person.symlink_to(tmp_path / "elsewhere")
    after = load_dataset(DataSource(name="prcc", root=root))
    assert [(s.key, s.person) for s in after.samples] == [(s.key, s.person) for s in before.samples]


def test_files_are_known_by_their_bytes_where_the_name_says_nothing(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for suffix, kind in ((".jfif", "JPEG"), ("", "JPEG"), (".jpg_large", "JPEG"), (".old", "PNG"), (".img", "BMP")):
        image(folder / f"still{suffix}", format=kind)
    for kind in ("WEBP", "GIF", "TIFF", "PPM"):
        image(folder / f"{kind.lower()}.bin", format=kind)
    for suffix, made in ((".dav", ".mp4"), (".rec", ".mp4"), (".cam", ".mkv"), (".x", ".avi"), (".y", ".ts"),
                         (".z", ".flv"), (".p", ".vob"), (".asf", ".asf"), (".q", ".asf")):  # fmt: skip
        write_film(tmp_path / f"made{made}", 4, codec="mpeg2video" if made == ".vob" else "libx264")
        (tmp_path / f"made{made}").rename(folder / f"film{suffix}")
    for suffix, made, codec in ((".264", ".h264", "libx264"), (".raw", ".h264", "libx264")):
        write_film(tmp_path / f"made{made}", 4, codec=codec)
        (tmp_path / f"made{made}").rename(folder / f"unit{suffix}")
    others = {
        "notes.txt": b"persons of camera 1", "program.ts": b"export const a = 1;\n" * 40, "model.npz": b"PK\3\4" * 30,
        "none": b"", "zeros.bin": bytes(5000), "P6": b"P6 is a name", "BM.txt": b"BM and so on, for a while",
        "sound.m4a": b"\0\0\0\x20ftypM4A ", "photo.heic": b"\0\0\0\x20ftypheic", "talk.ogg": b"OggS\0\2 vorbis",
    }  # fmt: skip
    for name, content in others.items():
        (folder / name).write_bytes(content)
    found = walk(folder)
    assert {path.name for path in found.videos} == {
        "film.dav", "film.rec", "film.cam", "film.x", "film.y", "film.z", "film.p", "film.asf", "film.q", "unit.264",
        "unit.raw",
    }  # fmt: skip
    assert len(found.images) == 9
    assert sorted(found.left_out.others) == sorted(others)
    assert [sample.key for sample in crops_of(str(folder)).samples] == names(found.images, folder)


def test_names_that_are_no_text_and_folders_that_cannot_be_opened_are_said(tmp_path, monkeypatch):
    image(tmp_path / "a" / "1.png")
    (tmp_path / "b\udcff").mkdir()
    (tmp_path / "closed").mkdir()
    real = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = walk(tmp_path)
    assert names(found.images, tmp_path) == ["a/1.png"]
    assert found.left_out.closed == ["closed"]
    assert "1 folder that cannot be opened (closed)" in str(found.left_out)
    assert r"1 name that is not UTF-8 ('b\udcff')" in str(found.left_out)
    str(found.left_out).encode()
    with pytest.raises(DataError, match="cannot be opened"):
        walk(tmp_path / "closed")
    with pytest.raises(DataError, match="no such folder"):
        walk(tmp_path / "absent")


def test_a_deep_tree_is_walked(tmp_path):
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
    image(deep / "1.png")
    assert len(walk(tmp_path).images) == 1


def test_a_file_that_is_missing_is_of_no_kind(tmp_path):
    assert media_type(tmp_path / "absent") == "other"
    assert media_type(tmp_path / "absent.JPG") == "image"


def test_a_folder_whose_share_does_not_answer_is_named_until_it_does(tmp_path, monkeypatch):
    monkeypatch.setattr(prefetch, "STALLED", 0.01)
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "a.jpg").touch()
    answers, scandir = threading.Event(), os.scandir
    monkeypatch.setattr(
        os, "scandir", lambda path: answers.wait(60) and scandir(path) if path.name == "slow" else scandir(path)
    )
    with on_warning(prefetch.log, 2, answers.set, about=tmp_path / "slow") as records:
        found = walk(tmp_path)
    assert found.images == [tmp_path / "slow" / "a.jpg"]
    assert "slow has not come" in records[0].getMessage()
