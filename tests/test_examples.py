"""The worked examples run as their first line says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from untrained import make_model

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"), "pcb", height=64, width=32)


def run(name: str, *words: object, **environment: str) -> str:
    command = [sys.executable, EXAMPLES / name, *map(str, words)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout


def test_find_in_folder_prints_the_nearest_crops_without_the_query(manifest, model):
    images = manifest.parent / "images"
    lines = run("find_in_folder.py", images / "p03_c0_0.png", images, model).splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    distances = [float(line.split()[1]) for line in lines]
    assert distances == sorted(distances)
    assert "p03_c0_0.png" not in "".join(lines) and all("(stripe" in line for line in lines)


def test_gallery_with_filters_finds_the_person_in_the_hall_only(manifest, model, tmp_path):
    from own_postgres import new_folder, remove

    for camera, folder in (("c0", "gate"), ("c1", "hall")):
        (tmp_path / folder).mkdir()
        for path in manifest.parent.glob(f"images/p0[0-3]_{camera}_*.png"):
            shutil.copy(path, tmp_path / folder)
    galleries = new_folder()
    try:
        out = run(
            "gallery_with_filters.py", tmp_path / "hall/p02_c1_1.png", tmp_path / "gate", tmp_path / "hall", model,
            UNVEIL_GALLERIES=str(galleries),
        )  # fmt: skip
    finally:
        remove(galleries)
    assert out.count("12 crops added") == 2
    hits = [line for line in out.splitlines() if line.partition("  ")[0].replace(".", "").lstrip("-").isdigit()]
    assert len(hits) == 3 and all("  hall  " in line for line in hits)
    assert "p02_c1_1.png" in hits[0] and "Not calibrated" in out
