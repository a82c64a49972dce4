"""The resumable command of full-size runs, end to end on a rendered world of four people."""

import csv
import importlib.util
import logging
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from unveil.models.checkpoint import load_model
from unveil.records import Batch

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_run.py"
MORE, FINISHED, ERROR = 3, 0, 2


@pytest.fixture
def script(monkeypatch) -> ModuleType:
    """The script as a module; what it adds to the root logger is taken away again."""
    spec = importlib.util.spec_from_file_location("gpu_run", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_run", module)
    spec.loader.exec_module(module)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    return module


def arguments(world: Path, out: Path, minutes: float) -> list[str]:
    return [str(SCRIPT), str(out), "--size", "tiny", "--world", f"world:{world}", "--recipes", "bot,combined",
            "--slice-minutes", str(minutes), "--set", "train.epochs=2"]  # fmt: skip


def crops() -> Batch:
    return Batch(torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0)), torch.full((3,), -1))


def test_slices_a_kill_shards_and_the_same_result_as_in_one_go(script, world, tmp_path, monkeypatch):
    out, once = tmp_path / "sliced", tmp_path / "once"

    def run(folder: Path, minutes: float = 5) -> int:
        monkeypatch.setattr(sys, "argv", arguments(world, folder, minutes))
        return script.main()

    assert run(out, minutes=0) == MORE
    assert (out / "runs" / "bot" / "0" / "resume.pt").exists()  # a state to go on from

    command = [sys.executable, *arguments(world, out, 5)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert any("epoch 1/2  loss" in line for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "models").exists()

    assert run(out) == FINISHED
    log = (out / "log.txt").read_text()
    assert run(out) == FINISHED
    assert "epoch" not in (out / "log.txt").read_text()[len(log) :]  # nothing is done twice
    assert run(once) == FINISHED

    rows = list(csv.DictReader((out / "runs" / "results.csv").open()))
    assert {row["label"] for row in rows} == {"bot", "combined"} and {row["device"] for row in rows} == {"cpu"}
    assert {row["protocol"].partition("#")[0] for row in rows} >= {"world-general", "world-sc", "world-cc"}
    assert (out / "runs" / "results.csv").read_bytes() == (once / "runs" / "results.csv").read_bytes()

    for name in ("bot", "combined"):
        trained = load_model(out / "runs" / name / "0")
        assert trained.card.fingerprint == load_model(once / "runs" / name / "0").card.fingerprint
        target = tmp_path / f"{name}.safetensors"
        monkeypatch.setattr(sys, "argv", ["gpu_run", "--join", str(out / "models" / name / "0"), str(target)])
        assert script.main() == FINISHED
        with torch.no_grad():
            before, after = trained.method.embed(crops()).vectors, load_model(target).method.embed(crops()).vectors
        torch.testing.assert_close(after, before, atol=3e-2, rtol=3e-2)
        card = (out / "models" / name / "0" / "README.md").read_text()
        assert "| world-general#" in card and "2 of 2 epochs" in card and "random weights" in card


@pytest.mark.parametrize(
    "wrong",
    [["OUT", "--recipes", "bott", "--size", "small"], ["--join", "OUT", "OUT/m.safetensors"], []],
    ids=["recipe", "shards", "nothing"],
)
def test_wrong_names_end_with_2_and_one_line(script, wrong, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu_run", *(word.replace("OUT", str(tmp_path)) for word in wrong)])
    assert script.main() == ERROR
    assert capsys.readouterr().err.startswith("error: ")
