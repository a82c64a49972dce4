"""The resumable command of full-size runs, end to end on a rendered world of four people."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from unveil.cli import main
from unveil.cli.models.pretrain import command
from unveil.experiments.pretrain import SIZES
from unveil.models.checkpoint import load_model
from unveil.records import Batch

DONE, WRONG, MORE = 0, 2, 130


@pytest.fixture
def unveil(monkeypatch):
    """Return a function that runs a command and returns its exit code."""

    def run(*words: object) -> int:
        monkeypatch.setattr("sys.argv", ["unveil", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0

    return run


def words(world: Path, out: Path, minutes: float) -> list[str]:
    return ["pretrain", "bot", "dual", "train.eval_batch=64", "--size", "tiny", "--world", f"world:{world}",
            "--minutes", str(minutes), "--out", str(out)]  # fmt: skip


def crops() -> Batch:
    return Batch(torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0)), torch.full((3,), -1))


def test_slices_a_kill_shards_and_the_same_result_as_in_one_go(unveil, rendered, tmp_path):
    out, once = tmp_path / "sliced", tmp_path / "once"
    cache = os.environ["UNVEIL_CACHE"]

    assert unveil(*words(rendered, out, 0)) == MORE
    assert (out / "runs" / "bot" / "0" / "resume.pt").exists()  # a state to resume from
    assert os.environ["UNVEIL_CACHE"] == cache

    command = [sys.executable, "-m", "unveil", *words(rendered, out, 5)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert any("epoch 1/2  loss" in line for line in process.stdout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "models").exists()

    assert unveil(*words(rendered, out, 5)) == DONE
    log = (out / "log.txt").read_text()
    assert "epoch 2/2" in log and "finished" in log
    quiet = [sys.executable, "-m", "unveil", "--quiet", *words(rendered, out, 5)]
    again = subprocess.run(quiet, capture_output=True, text=True, check=True)
    assert again.stderr == "" and (out / "log.txt").read_text().count("finished") == 2
    assert "epoch" not in (out / "log.txt").read_text()[len(log) :]  # nothing is done twice
    assert unveil(*words(rendered, once, 5)) == DONE

    rows = list(csv.DictReader((out / "runs" / "results.csv").open()))
    assert {row["label"] for row in rows} == {"bot", "dual"} and {row["device"] for row in rows} == {"cpu"}
    assert {row["protocol"].partition("#")[0] for row in rows} >= {"world-general", "world-sc", "world-cc"}
    assert (out / "runs" / "results.csv").read_bytes() == (once / "runs" / "results.csv").read_bytes()

    for name in ("bot", "dual"):
        trained = load_model(out / "runs" / name / "0")
        assert trained.card.fingerprint == load_model(once / "runs" / name / "0").card.fingerprint
        target = tmp_path / f"{name}.safetensors"
        assert unveil("models", "join", out / "models" / name / "0", target) == DONE
        with torch.no_grad():
            before, after = trained.method.embed(crops()).vectors, load_model(target).method.embed(crops()).vectors
        torch.testing.assert_close(after, before, atol=3e-2, rtol=3e-2)
        card = (out / "models" / name / "0" / "README.md").read_text()
        assert "| world-general#" in card and "2 of 2 epochs" in card and "random weights" in card


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["pretrain", "bott", "--size", "small", "--out", "OUT"], "no recipe 'bott'"),
        (["pretrain", "bot", "--size", "tiny", "--world", "world:OUT/none", "--out", "OUT"], "failed"),
        (["pretrain", "bot", "--size", "tiny", "--out", "OUT/file/below"], "cannot write in"),
        (["models", "join", "OUT", "OUT/m.safetensors"], "manifest.json"),
    ],
    ids=["recipe", "world", "folder", "shards"],
)
def test_wrong_input_ends_with_2_and_says_why(unveil, wrong, said, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert unveil(*(word.replace("OUT", str(tmp_path)) for word in wrong)) == WRONG
    error = capsys.readouterr().err
    assert "error: " in error and said in " ".join(error.split())


def test_the_command_offers_the_sizes_that_there_are():
    assert set(get_args(get_args(get_type_hints(command, include_extras=True)["size"])[0])) == set(SIZES)
