from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from unveil.atomic_io import sha256
from unveil.errors import DataError, InterruptedRunError, UnveilError
from unveil.label_sets import LIP20
from unveil.parsing.check import check_map
from unveil.world import generate
from unveil.world.config import MAX_PEOPLE, PRESETS, World, preset
from unveil.world.dataset import PROTOCOLS, read, read_labels
from unveil.world.generate import CARD, PLAN, WORK, render_world
from unveil.world.labels import table
from unveil.world.render.kernels import compiled
from unveil.world.scenes.scene import FRAME

SMALL = World(people=4, outfits=2, visits=2, frames=2, cameras=4, seed=3)  # the one of conftest.py


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_number_of_processes_changes_no_byte(world_folder: Path, tmp_path: Path) -> None:
    render_world(SMALL, tmp_path / "two", processes=2)
    assert content(tmp_path / "two") == content(world_folder)


def test_a_stopped_render_goes_on_and_ends_the_same(
    world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real, done = tmp_path / "w", generate.PARTS["person"], []

    def stopping(world: World, where: Path, person: int) -> None:
        if person == 2:
            raise KeyboardInterrupt
        done.append(person)
        real(world, where, person)

    monkeypatch.setitem(generate.PARTS, "person", stopping)
    with pytest.raises(InterruptedRunError, match="to resume"):
        render_world(SMALL, folder, processes=1)
    assert not (folder / CARD).exists()
    with pytest.raises(DataError, match="was stopped"):
        read(folder)
    done.clear()
    monkeypatch.setitem(generate.PARTS, "person", lambda w, f, p: (done.append(p), real(w, f, p))[1])
    render_world(SMALL, folder, processes=1)
    assert done == [2, 3]
    assert content(folder) == content(world_folder)


@pytest.mark.parametrize("damage", [b"[", b"\xff\xfe", b"3", b"[3]", b'[{"path": 3}]', b'[{"person": "p"}]'])
def test_a_damaged_part_of_a_stopped_render_is_named(tmp_path: Path, damage: bytes) -> None:
    world = World(people=2, cameras=4)
    (tmp_path / WORK).mkdir()
    for number in range(2):
        (tmp_path / WORK / f"p{number:05d}.json").write_bytes(b"[]" if number == 0 else damage)
    for camera in range(4):
        (tmp_path / WORK / f"camera{camera:03d}").mkdir()
    with pytest.raises(DataError, match=r"p00001\.json is damaged .* delete it, and render again"):
        list(generate._rows(world, tmp_path))
    with pytest.raises(DataError, match=r"camera002 is damaged .* delete it, and render again"):
        generate.load_stage(world, tmp_path, camera=2)
    (tmp_path / PLAN).write_bytes(damage)
    with pytest.raises(DataError, match="holds another world"):
        render_world(world, tmp_path, processes=1)


def test_card_and_manifest_say_what_is_there(world_folder: Path) -> None:
    card = json.loads((world_folder / CARD).read_text())
    assert card["hash"] == SMALL.hash
    assert card["world"]["seed"] == SMALL.seed
    assert card["statistics"]["crops"] == SMALL.crops == len(list((world_folder / "crops").rglob("*.jpg")))
    assert card["manifest_sha256"] == sha256(world_folder / "manifest.csv")
    assert not (world_folder / WORK).exists()


def test_crops_maps_and_boxes_agree(world_folder: Path) -> None:
    dataset = read(world_folder)
    assert dataset.parsing_scheme == "lip20"
    for sample in dataset.samples:
        check_map(sample, LIP20)
        x, y, width, height = map(int, sample.extra["box"].split())
        assert cv2.imread(str(sample.path)).shape == (height, width, 3)
        assert x >= 0
        assert y >= 0
        assert x + width <= FRAME[0]
        assert y + height <= FRAME[1]
        assert 0.2 < float(sample.extra["visible"]) <= 1
        assert all(0 <= float(v) <= 1 for k, v in sample.extra.items() if k.startswith("visible"))
        own = read_labels(world_folder, sample.key)
        assert (table("lip20")[own] == cv2.imread(str(sample.parsing), 0)).all()
        assert (own > 2).any()


def test_splits_share_no_person_and_no_camera(world_folder: Path) -> None:
    dataset = read(world_folder)
    assert [p.name for p in dataset.protocols] == ["world-general", "world-sc", "world-cc", "world-occ", "world-occ-cc"]
    test = (*dataset.query, *dataset.gallery)
    for column in ("person", "camera"):
        assert not {s.column(column) for s in dataset.train} & {s.column(column) for s in test}
    seen = defaultdict(set)
    for sample in dataset.samples:
        seen[sample.clothes].add(sample.person)
    assert all(len(people) == 1 for people in seen.values())
    assert not {s.key for s in dataset.query} & {s.key for s in dataset.gallery}
    for sample in dataset.query:
        mine = [g for g in dataset.gallery if g.person == sample.person and g.camera != sample.camera]
        assert mine


def test_protocols_part_hidden_from_seen() -> None:
    occluded = {p.name: p for p in PROTOCOLS}["world-occ-cc"]
    assert (occluded.query[0].op, occluded.gallery[0].op) == ("<", ">=")
    assert occluded.query[0].value == occluded.gallery[0].value
    assert occluded.junk == ("same_camera", "same_clothes")
    assert len({p.hash for p in PROTOCOLS}) == len(PROTOCOLS)


def test_maps_in_another_label_set_are_made_once(world_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(world_folder, folder)
    first = read(folder, scheme="pab6")
    assert first.parsing_scheme == "pab6"
    stamp = first.samples[0].parsing.stat().st_mtime_ns  # type: ignore[union-attr]
    labels = cv2.imread(str(first.samples[0].parsing), 0)
    assert (labels == table("pab6")[read_labels(folder, first.samples[0].key)]).all()
    assert read(folder, scheme="pab6").samples[0].parsing.stat().st_mtime_ns == stamp  # type: ignore[union-attr]
    with pytest.raises(DataError, match="did you mean 'pab6'"):
        read(folder, scheme="pab7")


def test_a_world_trains_on_everybody_or_on_the_first_people_and_its_maps_are_translated_for_all(
    world_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    shutil.copytree(world_folder, folder)
    whole = read(folder)
    trained = {s.person for s in whole.samples if s.split == "train"}
    few = read(folder, first=2, scheme="cre7")
    assert {s.person for s in few.samples if s.split == "train"} == set(sorted(trained)[:2])
    assert len([s for s in few.samples if s.split != "train"]) == len([s for s in whole.samples if s.split != "train"])
    everybody = read(folder, train="all", scheme="cre7")
    assert {s.split for s in everybody.samples} == {"train"} and len(everybody.samples) == len(whole.samples)
    assert all(s.parsing is not None and s.parsing.is_file() for s in everybody.samples)
    for wrong in ({"first": 1}, {"train": "some"}):
        with pytest.raises(DataError, match="expected"):
            read(folder, **wrong)  # type: ignore[arg-type]


def test_presets_have_their_sizes() -> None:
    sizes = {name: (world.people, world.crops) for name, world in PRESETS.items()}
    assert sizes["tiny"][0] == 24
    assert 350 <= sizes["tiny"][1] <= 450
    assert sizes["small"] == (100, 2400)
    assert sizes["default"] == (500, 12000)
    assert sizes["large"] == (3000, 48000)
    assert all(world.cameras >= 16 for world in PRESETS.values())
    assert preset("tiny", people=30).hash != preset("tiny").hash != preset("tiny", seed=1).hash


def test_worlds_are_called_as_before_until_their_version_is_raised() -> None:
    assert preset("tiny").hash == "d3dd9e63de", "or every rendered world in a cache is rendered again"
    assert preset("tiny", street=True).hash not in (preset("tiny").hash, preset("tiny", seed=1).hash)
    assert "street" not in preset("tiny").parameters and preset("tiny", street=True).parameters["street"] is True


def test_street_cameras_see_the_same_people_at_the_same_places(world_folder: Path, tmp_path: Path) -> None:
    render_world(replace(SMALL, street=True), tmp_path / "street", processes=1)
    plain, poor = read(world_folder), read(tmp_path / "street")
    assert [s.key for s in plain.samples] == [s.key for s in poor.samples]
    assert [s.extra for s in plain.samples] == [s.extra for s in poor.samples]
    one, two = (content(folder) for folder in (world_folder, tmp_path / "street"))
    images = [name for name in one if name.startswith("crops/")]
    assert images and all(one[name] != two[name] for name in images)
    maps = [name for name in one if name.startswith("parsing/world/")]
    assert maps and all(one[name] == two[name] for name in maps)
    with pytest.raises(DataError, match="street= are for presets"):
        read(tmp_path / "street", street=True)


WRONG = ({"people": 0}, {"people": -3}, {"people": MAX_PEOPLE + 1}, {"frames": 0}, {"cameras": 1}, {"seed": -1})


@pytest.mark.parametrize("wrong", WRONG)
def test_sizes_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        World(**wrong)


@pytest.mark.parametrize("name", ["people", "cameras", "seed"])
@pytest.mark.parametrize("value", ["4", 4.5, None, [4], float("nan")])
def test_sizes_that_are_no_whole_numbers_are_refused(name: str, value: object) -> None:
    with pytest.raises(DataError, match=f"world: {name} must be a whole number"):
        World(**{name: value})  # type: ignore[arg-type]


def test_unknown_presets_and_strange_folders_are_refused(world_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'small'"):
        read(Path("smal"))
    with pytest.raises(DataError, match="processes"):
        render_world(SMALL, tmp_path / "w", processes=0)
    with pytest.raises(DataError, match="another world"):
        render_world(World(people=5), world_folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        render_world(SMALL, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["file"]
    with pytest.raises(DataError, match="no world"):
        read(tmp_path / "full")
    with pytest.raises(DataError, match="rendered already"):
        read(world_folder, people=3)


def test_a_disk_without_space_or_rights_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(1, 1, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(UnveilError, match="make room"):
        render_world(SMALL, tmp_path / "w", processes=1)
    assert [p.name for p in (tmp_path / "w").iterdir()] == [PLAN]
    (tmp_path / "a_file").write_text("")
    with pytest.raises(UnveilError, match=r"cannot write|not an empty"):
        render_world(SMALL, tmp_path / "a_file" / "w", processes=1)


def test_a_render_resumes_where_only_what_is_missing_fits(
    world_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = tmp_path / "w", generate.PARTS["person"]

    def stopping(world: World, where: Path, person: int) -> None:
        if person == 3:
            raise KeyboardInterrupt
        real(world, where, person)

    monkeypatch.setitem(generate.PARTS, "person", stopping)
    with pytest.raises(InterruptedRunError):
        render_world(SMALL, folder, processes=1)
    monkeypatch.setitem(generate.PARTS, "person", real)
    need = SMALL.crops // SMALL.people * generate.BYTES_PER_CROP

    def free(space: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, space))  # type: ignore[attr-defined]

    free(need - 1)
    with pytest.raises(UnveilError, match="make room"):
        render_world(SMALL, folder, processes=1)
    free(need)
    render_world(SMALL, folder, processes=1)
    assert content(folder) == content(world_folder)


def test_what_a_kill_after_the_card_left_is_removed(world_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(world_folder, folder)
    (folder / WORK / "camera000").mkdir(parents=True)
    (folder / WORK / "camera000" / "depth.npy").write_bytes(b"plate")
    render_world(SMALL, folder, processes=1)
    assert content(folder) == content(world_folder) and not (folder / WORK).exists()


def test_a_crop_that_cannot_be_written_is_one_error_and_its_person_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "crops").write_text("in the way")
    with pytest.raises(UnveilError, match=r"cannot write .*/crops/.*what is done is kept"):
        generate.PARTS["person"](World(people=2, outfits=1, visits=1, frames=1, cameras=4), tmp_path, 0)
    assert not (tmp_path / WORK / "p00000.json").exists()


def test_loops_compile_where_machine_code_cannot_be_kept() -> None:
    names: dict[str, Callable[[int], int]] = {}
    exec("def more(x): return x + 1", names)  # a function without a file has no place for it
    assert compiled(names["more"])(1) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UnveilError, match="cannot write"):
        render_world(SMALL, tmp_path / "locked" / "w", processes=1)


def test_a_world_whose_manifest_was_cut_is_not_one_of_its_name(world_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "w"
    shutil.copytree(world_folder, folder)
    lines = (folder / "manifest.csv").read_bytes().splitlines(keepends=True)
    (folder / "manifest.csv").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(DataError, match=r"manifest\.csv is not the one of card\.json"):
        read(folder)
