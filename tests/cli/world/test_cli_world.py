"""``unveil world`` from the command line, on a world of two people."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

from unveil.atomic_io import cache_dir
from unveil.cli import app
from unveil.errors import DataError, UnveilError
from unveil.world import config, video
from unveil.world.config import World
from unveil.world.contact_sheet import CELL, GAP


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["-q", "world", *map(str, words)])
    if isinstance(result.exception, UnveilError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a world, and what rendering it printed."""
    folder = tmp_path_factory.mktemp("cli") / "world"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(config.PRESETS, "tiny", World(people=5, outfits=1, visits=2, frames=1, cameras=4))
        return folder, run("render", "--people", 2, "--seed", 3, "--processes", 1, "--out", folder, "--json")


def test_render_prints_the_card(rendered: tuple[Path, str]) -> None:
    folder, printed = rendered
    card = json.loads(printed)
    assert card["folder"] == str(folder)
    assert card["world"]["people"] == 2
    assert card["world"]["seed"] == 3
    assert card["statistics"]["crops"] == 4 == len(list(folder.rglob("*.jpg")))


def test_sheet_of_a_folder(rendered: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "s.png"
    printed = json.loads(run("sheet", rendered[0], "--show", "both", "--columns", 2, "--out", out, "--json"))
    assert printed == {"sheet": str(out), "people": 2, "crops": 4}
    assert cv2.imread(str(out)).shape == (4 * (CELL[0] + GAP), 2 * (CELL[1] + GAP), 3)


def test_sheet_of_a_preset_renders_it_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.PRESETS, "tiny", World(people=2, outfits=1, visits=1, frames=1, cameras=4))
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    assert run("sheet", "tiny", "--out", tmp_path / "s.jpg").startswith("2 crops of 2 people on ")
    made = [p.name for p in (cache_dir() / "world").glob("tiny-*") if (p / "card.json").is_file()]
    assert made == [f"tiny-{config.preset('tiny').hash}"]


def test_video_of_a_folder_shows_its_people(
    rendered: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'unveil[video]'")
    monkeypatch.setattr(video, "RATE", 2)
    out = tmp_path / "v.mp4"
    printed = json.loads(run("video", rendered[0], "--seconds", 3, "--out", out, "--json"))
    assert printed["video"] == str(out)
    assert out.stat().st_size > 1000
    people = {row["person"] for row in csv.DictReader(Path(printed["boxes"]).read_text().splitlines())}
    assert people
    assert people <= {"p00000", "p00001"}


@pytest.mark.parametrize(("words", "what"), [
    (("render", "smal"), "did you mean 'small'"),
    (("render", "tiny", "--people", 0), "people must be at least 2, got 0"),
    (("render", "tiny", "--people", -4), "people must be at least 2, got -4"),
    (("render", "tiny", "--people", 50_001), "only 50000 bodies are distinct"),
    (("render", "tiny", "--seed", -1), "seed must be a whole number from 0 on"),
    (("render", "tiny", "--processes", 0), "processes must be at least 1"),
    (("sheet", "smal"), "did you mean 'small'"),
    (("sheet", "tiny", "--out", "s.txt"), r"use \.png or \.jpg"),
    (("sheet", "."), "is no world"),
    (("video", "smal"), "did you mean 'small'"),
    (("video", "tiny", "--out", "v.avi"), "mp4"),
    (("video", "tiny", "--seconds", 0), "seconds must be above 0"),
    (("video", "tiny", "--camera", 16), "camera must be below 16"),
])  # fmt: skip
def test_wrong_input_is_one_error_and_leaves_nothing(
    words: tuple[object, ...], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnveilError, match=what):
        run(*words)
    assert not list(tmp_path.iterdir())


def test_a_folder_has_its_own_seed(rendered: tuple[Path, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rendered already"):
        run("video", rendered[0], "--seed", 4, "--out", tmp_path / "v.mp4")
