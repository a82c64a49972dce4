"""The wheel: it holds every file of the package, and works in an environment without this repository."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import unveil
from generated import write_crops

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The ``bin`` folder of a new environment with the wheel in it; dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A .pth file lends the packages, but not the .pth files among them: this repository is not importable through it.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return python.parent


def run(command: list[str | Path], cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel):
    files = (path for path in (ROOT / "src/unveil").rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    found = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in found if not name.split("/")[0].endswith(".dist-info")}
    assert packed == {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert any(name.endswith("licenses/LICENSE") for name in found)


# One process for all commands: each would load PyTorch again.
COMMANDS = """
import sys, unveil
from unveil.cli import app
print(unveil.__file__)
for command in sys.argv[1:]:
    try:
        app(command.split())
    except SystemExit as end:
        assert not end.code, command
"""


def test_the_wheel_works_where_the_repository_is_not(installed, tmp_path):
    write_crops(tmp_path / "crops", people=2, test_people=1)
    assert run([installed / "unveil", "--version"], tmp_path).strip() == unveil.__version__
    said = run(
        [
            installed / "python",
            "-c",
            COMMANDS,
            "embed unveil:dual crops/images --out crops.safetensors",
            "search crops/images/p00_c0_0.png crops.safetensors --skip-person-check --page found.html",
            "parse crops/images --out maps",
        ],
        tmp_path,
    )
    assert said.startswith(str(installed.parent)), said
    assert "12 crops" in said
    assert (tmp_path / "found.html").stat().st_size > 10_000
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 12
