"""A small generated dataset for all tests, and caches of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from PIL import Image

from damage import TRIED
from generated import render_kept, write_crops
from miniatures import MINIATURES
from unveil.progress import show_progress
from unveil.world.config import World

# A shell that runs the tests in the background has them ignore Ctrl-C, and with them every process that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("browsing", "callers")
pytest_plugins = ["crashes", "own_postgres"]
Crops = Callable[[Path, Iterable[str] | str], Path]
PEOPLE = World(people=4, outfits=2, visits=2, frames=2, cameras=4, seed=5)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 12 people, 2 cameras, 72 crops; half of the people are for testing."""
    return write_crops(tmp_path_factory.mktemp("crops"))


@pytest.fixture(scope="session")
def rendered(request: pytest.FixtureRequest) -> Path:
    """Folder of a rendered world of 4 people and 32 crops, kept between test runs."""
    return render_kept(PEOPLE, request.config)


@pytest.fixture(scope="session")
def people(rendered: Path) -> list[Image.Image]:
    """Crops of rendered people, 16 x 32 pixels."""
    paths = sorted((rendered / "crops").rglob("*.jpg"))
    return [Image.open(path).convert("RGB").resize((16, 32)) for path in paths]


@pytest.fixture
def crops(people: list[Image.Image]) -> Crops:
    """Write rendered people under the given names (a text is split at white space); no two files are the same."""

    def write(root: Path, names: Iterable[str] | str) -> Path:
        for number, name in enumerate(names.split() if isinstance(names, str) else names):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image = people[number % len(people)].copy()
            image.paste((number % 256, number // 256, 0), (0, 0, 8, 8))
            image.save(path)
        return root

    return write


@pytest.fixture
def put(crops: Crops) -> Callable[[str, Path], Path]:
    """Write the miniature of a dataset below a folder and return its root."""

    def write(name: str, below: Path) -> Path:
        miniature = MINIATURES[name]
        root = crops(below / miniature.root, miniature.names)
        for file, text in miniature.lists.items():
            (root / file).write_text(text + "\n")
        return root

    return write


@pytest.fixture(scope="session")
def cache_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of caches that all processes of a test run share: a model is exported once, not once a process."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"


@pytest.fixture(autouse=True)
def _own_cache(cache_of_the_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the caches of tests apart from the user's, and silence what an earlier command switched on."""
    show_progress(on=False)
    monkeypatch.setenv("UNVEIL_CACHE", str(cache_of_the_run))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many damaged inputs were tried: a failure among them is a failed test."""
    if TRIED:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(TRIED.items()))
        terminalreporter.write_line(f"damaged inputs: {TRIED.total()} ({kinds})")
