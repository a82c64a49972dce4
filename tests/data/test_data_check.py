"""``unveil data check``: everything it must find, and its exit codes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unveil.cli.data.app import app
from unveil.data.check import check_dataset
from unveil.data.readers.folder import read as read_folder
from unveil.data.readers.manifest import read_manifest
from unveil.data.readers.market1501 import read as read_market


@pytest.fixture
def broken(tmp_path, crops):
    names = "t1.png t2.png q1.png g1.png g2.png g3.png cut.png"
    root = crops(tmp_path, names)
    (root / "g2.png").write_bytes((root / "t1.png").read_bytes())  # training = gallery
    (root / "g3.png").write_bytes((root / "g1.png").read_bytes())  # twice in the gallery
    (root / "cut.png").write_bytes((root / "cut.png").read_bytes()[:40])
    rows = "t1,1,a,train t2,1,b,train q1,2,a,query g1,2,b,gallery g2,3,a,gallery g3,2,b,gallery cut,3,a,gallery"
    lines = ["{}.png,{},{},{}".format(*row.split(",")) for row in rows.split()]
    (root / "manifest.csv").write_text("path,person,camera,split\n" + "\n".join(lines) + "\n")
    return root / "manifest.csv"


def test_everything_is_found(broken):
    report = check_dataset(read_manifest(broken))
    assert [bad.key for bad in report.unreadable] == ["cut.png"] and "cut.png" in str(report.unreadable[0])
    assert set(report.duplicates) == {("t1.png", "g2.png"), ("g1.png", "g3.png")}
    assert report.across == (("t1.png", "g2.png"),)
    assert report.single_camera == ("3",)
    assert report.unknown == {"clothes": 7, "time": 7, "tracklet": 7, "parsing": 7}
    assert (
        report.counts["images"] == 7 and report.counts["gallery persons"] == 2 and "train clothes" not in report.counts
    )
    assert not report.clean


def test_counts_are_held_against_the_published_ones(tmp_path, crops):
    names = "bounding_box_train/0002_c1s1_0_0.jpg query/0001_c1s1_0_0.jpg bounding_box_test/0001_c2s1_0_0.jpg"
    report = check_dataset(read_market(crops(tmp_path, names)))
    assert report.differences["train images"] == (1, 12936)
    assert not report.clean


def test_an_unreadable_parsing_map_is_named(tmp_path, crops):
    root = crops(tmp_path, "a.png b.png")
    (root / "map.png").write_bytes(b"text")
    (root / "manifest.csv").write_text("path,person,parsing\na.png,1,map.png\nb.png,1,\n")
    report = check_dataset(read_manifest(root / "manifest.csv"))
    assert [bad.key for bad in report.unreadable] == ["a.png"] and "map.png" in report.unreadable[0].reason


def test_people_who_are_trained_on_and_tested_are_said(tmp_path, crops):
    root = crops(tmp_path / "rows", "a.png b.png c.png d.png e.png")
    rows = "a,1,x,train b,1,x,query c,1,y,gallery d,2,x,train e,3,y,gallery"
    lines = ["{}.png,{},{},{}".format(*row.split(",")) for row in rows.split()]
    (root / "manifest.csv").write_text("path,person,camera,split\n" + "\n".join(lines) + "\n")
    report = check_dataset(read_manifest(root / "manifest.csv"))
    ((note, files),) = report.listed.items()
    assert note.startswith("1 person is in train and in query or gallery") and files == ("b.png", "c.png")
    assert not report.clean
    inside = check_dataset(
        read_folder(crops(tmp_path / "folders", "train/ann/1.png gallery/ann/2.png query/bob/3.png"))
    )
    assert inside.listed == {note: ("gallery/ann/2.png",)}
    # A benchmark counts its people anew in each part.
    names = "bounding_box_train/0002_c1s1_0_0.jpg query/0002_c1s1_0_0.jpg bounding_box_test/0002_c2s1_0_0.jpg"
    assert not check_dataset(read_market(crops(tmp_path / "market", names))).listed


def test_a_whole_dataset_is_clean(tmp_path, crops):
    assert check_dataset(read_folder(crops(tmp_path, "ann/1.png bob/1.png"))).clean


def test_command_line(broken, tmp_path_factory, crops):
    run = CliRunner().invoke
    result = run(app, ["check", "manifest", str(broken)])
    assert result.exit_code == 1
    for text in ("cut.png", "t1.png = g2.png", "problems were found"):
        assert text in result.stdout
    result = run(app, ["check", f"manifest:{broken}", "--json"])
    found = json.loads(result.stdout)
    assert result.exit_code == 1 and found["clean"] is False and found["unreadable"][0]["key"] == "cut.png"
    good = crops(tmp_path_factory.mktemp("good"), "ann/1.png bob/1.png")
    assert run(app, ["check", "folder", str(good)]).exit_code == 0


def test_list_names_every_dataset_with_its_options():
    rows = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["viper"]["options"] == ["split"] and "VIPeR" in by_name["viper"]["about"]
    assert CliRunner().invoke(app, ["list"]).exit_code == 0


def test_the_page_of_datasets_is_what_the_command_prints():
    page = Path(__file__).parents[2] / "docs/datasets.md"
    printed = CliRunner().invoke(app, ["list", "--markdown"]).stdout
    assert printed == page.read_text(), "write it anew: unveil data list --markdown > docs/datasets.md"
    for text in ("`boxes`: labeled or detected; labeled by default", "`split`: 0 to 9; 0 by default", "`splits=10`"):
        assert text in printed
