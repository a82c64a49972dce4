"""From dataset to dataset: filename pattern, determinism, restart, manifest, bad input."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from unveil.data.parsing_tree import attach_parsing, parsing_path
from unveil.data.readers import ltcc
from unveil.errors import DataError, UnveilError
from unveil.label_sets import PASCAL7
from unveil.occlusion.build import build
from unveil.occlusion.components import missing_components
from unveil.occlusion.parts import PartsSettings
from unveil.occlusion.settings import OcclusionSettings
from unveil.parsing.formats.schp import write_label_png
from unveil.records import Dataset

KEYS = [f"train/{p:03d}_{i}_c1_00000{i}.png" for p in (1, 2, 3) for i in (1, 2)]
KEYS += ["query/004_1_c2_000001.png", "test/004_2_c3_000001.png", "test/004_2_c3_000002.jpg"]


def draw(root, parsed=KEYS):
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 20), np.uint8)
    for part in range(1, 7):
        labels[6 * part - 4 : 6 * part + 2, 4:16] = part
    for key in KEYS:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(60, 255, (40, 20, 3), dtype=np.uint8)).save(root / key)
        if key in parsed:
            write_label_png(parsing_path(root, "pascal7", key=key), labels, scheme=PASCAL7)
    return root


@pytest.fixture
def source(tmp_path):
    root = draw(tmp_path / "LTCC_ReID")
    (root / "info").mkdir()
    (root / "info" / "ids.txt").write_text("1\n")
    return root


@pytest.fixture
def dataset(source):
    return attach_parsing(ltcc.read(source), source)[0]


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def table(root):
    with (root / "occlusion.csv").open(newline="") as f:
        return list(csv.DictReader(f))


def test_the_twin_has_the_filename_pattern_of_the_source_and_black_blocks(tmp_path, source, dataset):
    out = tmp_path / "Occ_LTCC"
    report = build(
        dataset, source, out=out, settings=OcclusionSettings(parts=PartsSettings(present_only=True)), parser="schp 1"
    )
    twin = ltcc.read_occ(out)
    assert [(s.key, s.person, s.camera, s.clothes, s.split) for s in twin.samples] == [
        (s.key, s.person, s.camera, s.clothes, s.split) for s in dataset.samples
    ]
    assert (out / "info" / "ids.txt").read_text() == "1\n"
    rows = {row["path"]: row for row in table(out)}
    assert list(rows) == [s.key for s in dataset.samples]
    for sample in dataset.samples:
        before, after = (np.asarray(Image.open(root / sample.key).convert("RGB")) for root in (source, out))
        assert Image.open(out / sample.key).format == Image.open(source / sample.key).format
        row = rows[sample.key]
        assert row["parser"] == "schp 1" and row["kernel"] == "2" and row["what"] in PASCAL7.labels[1:]
        if sample.key.endswith(".png"):
            black = (after == 0).all(axis=2)
            assert (after[~black] == before[~black]).all()
            assert float(row["occluded"]) == pytest.approx(black.mean(), abs=1e-4)
            labels = np.asarray(Image.open(parsing_path(out, "pascal7", key=sample.key)))
            assert not labels[black].any() and labels[~black].any()
    assert (report.images, report.untouched, report.without_parsing) == (9, 0, 0)
    assert report.occluded_person == pytest.approx(np.mean([float(r["occluded_person"]) for r in rows.values()]))


@pytest.mark.parametrize("style", ["parts", "blocks", "people"])
def test_workers_and_order_change_nothing_and_seeds_do(tmp_path, source, dataset, style):
    settings = OcclusionSettings(style=style, ratio=0.4)
    build(dataset, source, out=tmp_path / "a", settings=settings, workers=1)
    shuffled = Dataset("ltcc", dataset.samples[::-1], parsing_scheme="pascal7")
    build(shuffled, source, out=tmp_path / "b", settings=settings, workers=4)
    build(dataset, source, out=tmp_path / "c", settings=OcclusionSettings(style=style, ratio=0.4, seed=1))
    a, b, c = (contents(tmp_path / name) for name in "abc")
    images = [key for key in a if key.endswith((".png", ".jpg"))]
    assert all(a[key] == b[key] for key in images)
    assert any(a[key] != c[key] for key in images)


def test_a_stopped_build_goes_on_and_ends_the_same(tmp_path, source, dataset):
    build(dataset, source, out=tmp_path / "whole")
    part = Dataset("ltcc", dataset.samples[:3], parsing_scheme="pascal7")
    out = tmp_path / "part"
    build(part, source, out=out)
    rows = table(out)
    # What a killed build leaves: settings, some images, a journal whose last line is torn.
    journal = "".join(json.dumps(row) + "\n" for row in rows) + '{"path": "train/00'
    (out / "occlusion.csv").unlink()
    (out / ".occlusion.jsonl").write_text(journal)
    (out / "occlusion.json").write_text((tmp_path / "whole" / "occlusion.json").read_text())
    (out / dataset.samples[0].key).write_bytes(b"kept, so not built again")
    build(dataset, source, out=out)
    whole, resumed = contents(tmp_path / "whole"), contents(out)
    assert resumed.pop(dataset.samples[0].key) == b"kept, so not built again"
    whole.pop(dataset.samples[0].key)
    assert resumed == whole


def test_other_settings_or_a_strange_folder_are_refused(tmp_path, source, dataset):
    build(dataset, source, out=tmp_path / "a")
    with pytest.raises(UnveilError, match=r"built with other settings \(seed\)"):
        build(dataset, source, out=tmp_path / "a", settings=OcclusionSettings(seed=4))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").touch()
    with pytest.raises(UnveilError, match="not empty"):
        build(dataset, source, out=tmp_path / "b")
    with pytest.raises(UnveilError, match="holds the source"):
        build(dataset, source, out=source)


def test_images_without_a_map_are_copied_and_counted(tmp_path, source):
    parsing_path(source, "pascal7", key=KEYS[0]).unlink()
    dataset, share = attach_parsing(ltcc.read(source), source)
    assert share.missing == (KEYS[0],)
    report = build(dataset, source, out=tmp_path / "out")
    assert report.without_parsing == 1
    assert (tmp_path / "out" / KEYS[0]).read_bytes() == (source / KEYS[0]).read_bytes()
    assert "1 without a parsing map" in str(report)


def test_where_there_are_no_maps_the_report_says_nothing_that_follows_from_them(tmp_path, source):
    said = str(build(ltcc.read(source), source, out=tmp_path / "out", settings=OcclusionSettings("blocks", 0.3)))
    assert "9 images; 0 untouched" in said and "of the crop" in said
    assert "parsing map" not in said and "of the person" not in said


def test_bad_maps_stop_the_build_and_are_named(tmp_path, source):
    path = parsing_path(source, "pascal7", key=KEYS[1])
    write_label_png(path, np.ones((40, 21), np.uint8), scheme=PASCAL7)
    with pytest.raises(DataError, match=r"the map is 21x40 but its image .*001_2_c1_000002\.png is 20x40"):
        build(attach_parsing(ltcc.read(source), source)[0], source, out=tmp_path / "a")
    Image.fromarray(np.full((40, 20), 19, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"001_2_c1_000002\.png.*found 19"):
        build(attach_parsing(ltcc.read(source), source)[0], source, out=tmp_path / "b")


def test_coarse_label_sets_are_warned_of(tmp_path, source, dataset, caplog):
    coarse = dataclasses.replace(dataset, parsing_scheme="atr18")
    build(coarse, source, out=tmp_path / "coarse", settings=OcclusionSettings())
    assert "atr18 never show upper-arms" in caplog.text
    caplog.clear()
    build(
        coarse, source, out=tmp_path / "torso", settings=OcclusionSettings(parts=PartsSettings(components=("torso",)))
    )
    build(dataset, source, out=tmp_path / "fine", settings=OcclusionSettings())
    assert "never show" not in caplog.text


@pytest.mark.parametrize(
    ("scheme", "missing"),
    [("pascal7", ()), ("world", ()), ("lip20", ("upper-arms",)), ("atr18", ("upper-arms",)), (None, ())],
)
def test_components_that_a_label_set_lacks(scheme, missing):
    assert missing_components(scheme) == missing


def test_styles_that_need_maps_say_so(tmp_path, source):
    plain = ltcc.read(source)
    for style in ("parts", "people"):
        with pytest.raises(DataError, match="needs parsing maps"):
            build(plain, source, out=tmp_path / style, settings=OcclusionSettings(style=style))
    assert (
        build(plain, source, out=tmp_path / "blocks", settings=OcclusionSettings(style="blocks", ratio=0.5)).untouched
        == 0
    )


def test_people_are_hidden_by_another_person(tmp_path, source, dataset):
    build(dataset, source, out=tmp_path / "out", settings=OcclusionSettings(style="people", ratio=0.4))
    person = {s.key: s.person for s in dataset.samples}
    for row in table(tmp_path / "out"):
        assert person[row["what"]] != person[row["path"]]
        assert float(row["occluded_person"]) == pytest.approx(0.4, abs=0.06)


def test_cutouts_come_from_a_folder_with_transparency(tmp_path, source, dataset):
    folder = tmp_path / "things"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "box.png")
    settings = OcclusionSettings(style="cutouts", ratio=0.2, cutouts=folder)
    with pytest.raises(DataError, match=r"box\.png: a cut-out needs transparency"):
        build(dataset, source, out=tmp_path / "a", settings=settings)
    Image.new("RGBA", (8, 16), (250, 0, 250, 255)).save(folder / "box.png")
    build(dataset, source, out=tmp_path / "b", settings=settings)
    pixels = np.asarray(Image.open(tmp_path / "b" / KEYS[0]))
    assert (pixels == (250, 0, 250)).all(axis=2).any()
    with pytest.raises(DataError, match="belong together"):
        OcclusionSettings(style="cutouts")
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        OcclusionSettings(ratio=1.5)
