"""Runs of a small network on small crops, in this process or in one of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from unveil.recipe import load_recipe

SMALL = [
    "backbone.name=osnet_x0_25",
    "backbone.init=random",
    "input.height=64",
    "input.width=32",
    "sampler.persons=3",
    "sampler.images=2",
    "optim.lr=1e-3",
    "train.eval_every=0",
]


def overrides(manifest: Path, *more: str) -> list[str]:
    return [*SMALL, f"data.train=manifest:{manifest}", f"data.test=manifest:{manifest}", *more]


def recipe(manifest: Path, *more: str):
    return load_recipe(None, overrides(manifest, *more))


def start(manifest: Path, out: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "unveil", "train", *overrides(manifest, *more), "--out", str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_until(process: subprocess.Popen, text: str) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line
    raise AssertionError(f"{text!r} never appeared in:\n{''.join(seen)}")


def same_weights(a: Path, b: Path) -> bool:
    one, other = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
