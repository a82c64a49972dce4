"""Crops are run a few at a time; how many is found out on the work, remembered, and changes no vector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from external import HEIGHT, WIDTH, write_external
from unveil.atomic_io import cache_dir
from unveil.inference.backends.external import external_engine
from unveil.inference.backends.onnx_runtime import onnx_engine
from unveil.inference.backends.openvino import openvino_engine
from unveil.inference.backends.pytorch import torch_engine
from unveil.inference.steps import ROUNDS, STEPS, StepChoice, sizes_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (70, HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [("n", 3, HEIGHT, WIDTH), (3, 3, HEIGHT, WIDTH)])
def test_every_number_of_crops_gives_each_its_own_vector(tmp_path, crops, runtime, threads, shape):
    engine = external_engine(write_external(tmp_path, shape=shape, normalise=False, scale=1), threads, runtime=runtime)
    means = crops.mean(axis=(1, 2))
    for count in (1, 2, 3, 7, 8, 31, 64, 70):
        found = engine.embed_crops(crops[:count])
        assert found.vectors.shape == (count, 1, 3)
        assert np.allclose(found.vectors[:, 0], means[:count], atol=1e-3), count
    assert engine.embed_crops(crops[:0]).vectors.shape == (0, 1, 3)


@pytest.mark.parametrize("step", STEPS)
def test_a_trained_model_embeds_the_same_at_every_step_and_with_every_runtime(graph, trained, step, monkeypatch):
    crops = np.random.default_rng(4).integers(
        0, 256, (35, trained.crop_size.height, trained.crop_size.width, 3), np.uint8
    )
    expected = np.concatenate([torch_engine(trained, 1).embed_crops(crops[k : k + 1]).vectors for k in range(35)])
    monkeypatch.setattr("unveil.inference.steps.StepChoice.next", lambda choice: step)
    for engine in (
        torch_engine(trained, 1), onnx_engine(graph, 1), openvino_engine(graph, 1), openvino_engine(graph, 2)
    ):  # fmt: skip
        found = engine.embed_crops(crops).vectors
        assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max(), engine.kind


def test_the_step_is_found_out_on_the_work_and_remembered(tmp_path, crops):
    path = write_external(tmp_path)
    engine = external_engine(path, 1)
    for _ in range(ROUNDS * len(STEPS) - 1):
        engine.embed_crops(crops[: max(STEPS)])
    remembered = cache_dir() / "engines" / engine.fingerprint / "steps.json"
    assert not remembered.exists()
    engine.embed_crops(crops[: max(STEPS)])
    ((key, step),) = json.loads(remembered.read_text()).items()
    assert key.startswith(f"{engine.kind}-") and step in STEPS
    assert StepChoice(engine.fingerprint, engine.kind, threads=1).best == step
    assert StepChoice(engine.fingerprint, engine.kind, threads=2).best is None


def test_the_fastest_step_wins_and_a_damaged_memory_is_measured_anew(cache):
    choice = StepChoice("ab12", "onnx", threads=1)
    seconds = {8: 3.0, 4: 2.0, 1: 5.0, 32: 4.0}
    tried = []
    while choice.best is None:
        tried.append(choice.next())
        choice.took(tried[-1], seconds[tried[-1]])
    assert choice.best == 4 and tried == list(STEPS) * ROUNDS
    assert StepChoice("ab12", "onnx", threads=1).best == 4
    file = cache / "engines" / "ab12" / "steps.json"
    for text in ("{", "[]", file.read_text().replace("4", "5")):
        file.write_text(text)
        assert StepChoice("ab12", "onnx", threads=1).best is None


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path, crops, monkeypatch, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("UNVEIL_CACHE", str(tmp_path / "file" / "cache"))
    choice = StepChoice("ab12", "onnx", threads=1)
    for step in STEPS * ROUNDS:
        choice.took(step, 1.0)
    assert choice.best == STEPS[0] and "cannot be remembered" in caplog.text


def test_a_fingerprint_from_a_file_leads_nowhere_else(cache):
    choice = StepChoice("../../outside", "onnx", threads=1)
    for step in STEPS * ROUNDS:
        choice.took(step, 1.0)
    assert [path.parent.parent for path in cache.rglob("steps.json")] == [cache / "engines"]


@pytest.mark.parametrize(
    ("count", "step", "streams", "sizes"),
    [
        (1, 8, 1, [1]), (8, 8, 1, [8]), (8, 8, 2, [4, 4]), (3, 8, 1, [1, 1, 1]), (7, 4, 1, [4, 4]),
        (9, 4, 1, [4, 4, 1]), (64, 32, 2, [32, 32]), (33, 32, 1, [32, 1]), (2, 32, 4, [1, 1]),
    ],
)  # fmt: skip
def test_all_streams_have_something_to_do_and_little_is_filled_up(count, step, streams, sizes):
    assert sizes_of(count, step, streams=streams) == sizes


def test_what_reading_files_takes_meanwhile_is_not_counted(tmp_path, crops, monkeypatch):
    clocks = iter(range(1000))
    monkeypatch.setattr("unveil.inference.steps.time.process_time", lambda: 3.0 * next(clocks))
    read = iter(range(1000))
    monkeypatch.setattr("unveil.inference.steps.processor_seconds", lambda: 2.0 * next(read))
    took = []
    monkeypatch.setattr(StepChoice, "took", lambda self, step, seconds: took.append(seconds))
    external_engine(write_external(tmp_path), 1).embed_crops(crops)
    assert took == [1.0] * (len(crops) // max(STEPS))
