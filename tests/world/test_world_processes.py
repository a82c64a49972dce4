"""Renders in processes of their own: two at once, from a plain script, stopped, and with a worker that dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from unveil.errors import UnveilError
from unveil.world.config import World
from unveil.world.generate import CARD
from unveil.world.workers import Workers

# No guard around the call: a script as one writes it. It must run once, not once a process.
SCRIPT = """
import sys
from pathlib import Path
print("begin", flush=True)
from unveil.world.generate import render_world
from unveil.world.config import World
world = World(people=int(sys.argv[3]), outfits=1, visits=2, frames=1, cameras=4)
print(render_world(world, Path(sys.argv[1]), processes=int(sys.argv[2])))
"""
TWO = World(people=2, outfits=1, visits=2, frames=1, cameras=4)


def start(folder: Path, processes: int, people: int = 2) -> subprocess.Popen[str]:
    script = folder.parent / "plain.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script.name, folder.name, str(processes), str(people)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder.parent, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def test_two_plain_scripts_that_ask_for_one_world_both_get_it_whole(tmp_path: Path) -> None:
    both = [start(tmp_path / "world", 2), start(tmp_path / "world", 1)]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out.split() == ["begin", "world/manifest.csv"]
    assert {p.name for p in (tmp_path / "world").iterdir()} >= {"manifest.csv", "card.json", "crops"}


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_is_one_error_and_the_next_render_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    process = start(folder, 2, 400)
    while not list((folder / ".work").glob("camera*")):  # the workers are at work
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("unveil.errors.InterruptedRunError: the render was stopped")
    assert err.count("Traceback") == 1
    kept = {p.name: p.stat().st_mtime_ns for p in (folder / ".work").glob("camera*")}
    assert kept
    assert not (folder / CARD).exists()
    process = start(folder, 2, 400)
    while len(list((folder / ".work").glob("camera*"))) < 4:
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=120)
    assert kept.items() <= {p.name: p.stat().st_mtime_ns for p in (folder / ".work").glob("camera*")}.items()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_worker_that_dies_is_one_error_and_the_next_render_resumes(tmp_path: Path) -> None:
    with (
        pytest.raises(UnveilError, match="fewer processes"),
        Workers(2, json.dumps(asdict(TWO)), folder=tmp_path / "w") as workers,
    ):
        for _ in workers.run("camera", [0, 1]):
            workers._started[0].kill()
            workers._started[0].wait()
            list(workers.run("camera", [2, 3]))
    assert all(worker.poll() is not None for worker in workers._started)
    assert len(list((tmp_path / "w" / ".work").glob("camera*"))) >= 1


def test_what_a_worker_says_is_wrong_reaches_the_caller(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UnveilError, match="cannot write"),
        Workers(1, json.dumps(asdict(TWO)), folder=tmp_path / "file") as workers,
    ):
        list(workers.run("camera", [0]))
    with (
        pytest.raises(RuntimeError, match="KeyError"),
        Workers(1, json.dumps(asdict(TWO)), folder=tmp_path / "w") as workers,
    ):
        list(workers.run("planet", [0]))


def test_a_process_of_a_render_loads_no_parser_and_no_network() -> None:
    script = "import sys, unveil.world.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "unveil.world.generate" in loaded
    assert not {"pydantic", "unveil.recipe", "unveil.parsing.onnx_parser", "torch", "onnxruntime"} & set(loaded)
