"""Training by two processes: what one would do, whoever starts them, and an end for all when one is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from small_runs import read_until
from torch import distributed, nn

from training.two_processes import train_all
from unveil.errors import RecipeError, UnveilError
from unveil.recipe import Recipe, load_recipe
from unveil.records import Batch
from unveil.training.loop import train
from unveil.training.metrics import read_metrics
from unveil.training.processes.launch import Started, find_started, launch
from unveil.training.processes.many import ManyProcesses
from unveil.training.processes.one import OneProcess
from unveil.training.state import NAME as STATE

pytest.importorskip("lightning_fabric", reason="Lightning Fabric is not installed (extra distributed)")
psutil = pytest.importorskip("psutil")

SMALL = [
    "backbone={name: osnet_x0_25, init: random}",
    "input={height: 64, width: 32, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}",
    "sampler.persons=2",
    "sampler.images=2",
    "optim.freeze_iterations=0",
    "train.eval_every=0",
]
# What reaches across crops: the triplet; erasing, BED and a running mean; a sum over the batch and the adversary of the
# clothes, accumulated and recomputed; nearly everything; crops of which one process classifies more than the other,
# in batches that one draws by its vectors.
CHANGES = {
    "bot": ["train.epochs=2"],
    "ssgr": [],
    "aim": ["method.clothes_start_epoch=0", "train.accumulate=2", "train.activation_checkpointing=true"],
    "combined": [
        *(
            f"method.{switch}=true"
            for switch in ("parts", "screening", "centre", "compound", "mean_feature", "clothes_loss")
        ),
        "method.clothes_start_epoch=0",
        "augment.erase=none",
    ],
    # Four crops of which two keep their clothes leave a norm of two, whose gradient is rounding alone.
    "dual": [
        "sampler.images=4",
        "sampler.alike=1",
        "train.epochs=2",
        "method.recoloured=0.5",
        "augment.small_epochs=0",
        "train.frozen_engine=pytorch",
    ],
}
TOLERANCE = 1e-5


def recipe(request: pytest.FixtureRequest, rendered: Path, name: str, *more: str) -> Recipe:
    folder = request.config.rootpath / "src/unveil/recipes"
    path = next(folder / file for file in (f"{name}-world.yaml", f"{name}.yaml") if (folder / file).is_file())
    data = [f"data.train=world:{rendered}", "data.test=[]"]
    return load_recipe(path, [*SMALL, *data, "train.epochs=1", *CHANGES[name], *more])


@pytest.fixture(scope="module")
def runs(rendered, request, tmp_path_factory) -> Path:
    """Methods trained in double precision by one process and by two.

    Beside them BoT, begun by one and by two and brought to a third epoch by the other.
    """
    base, cache = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("cache")
    recipes = {name: recipe(request, rendered, name) for name in CHANGES}
    longer = recipe(request, rendered, "bot", "train.epochs=3")
    train_all(OneProcess(), [(found, base / "one" / name) for name, found in recipes.items()], cache)
    shutil.copytree(base / "one/bot", base / "one_then_two")
    both = [(found, base / "two" / name) for name, found in recipes.items()]
    launch(partial(train_all, runs=[*both, (longer, base / "one_then_two")], cache=cache), devices=2)
    for begun in ("one", "two"):
        shutil.copytree(base / begun / "bot", base / f"{begun}_then_one")
        train_all(OneProcess(), [(longer, base / f"{begun}_then_one")], cache)
    return base


def assert_same_run(first: Path, second: Path) -> None:
    logs = [read_metrics(folder / "metrics.jsonl") for folder in (first, second)]
    assert [r["iteration"] for r in logs[0]] == [r["iteration"] for r in logs[1]]
    for one, other in zip(*logs, strict=True):
        assert one.keys() == other.keys()
        for term in one.keys() - {"images_per_second", "peak_resident_bytes"}:
            assert other[term] == pytest.approx(one[term], abs=TOLERANCE), term
    states = [torch.load(folder / STATE, weights_only=True) for folder in (first, second)]
    assert torch.equal(states[0]["generator"], states[1]["generator"])
    assert torch.equal(states[0]["torch"], states[1]["torch"])
    for name, tensor in states[0]["method"].items():
        torch.testing.assert_close(states[1]["method"][name], tensor, atol=TOLERANCE, rtol=TOLERANCE, msg=name)


@pytest.mark.parametrize("name", CHANGES)
def test_two_processes_with_half_of_the_batch_each_train_what_one_trains(runs, name):
    assert_same_run(runs / "one" / name, runs / "two" / name)


@pytest.mark.parametrize("folder", ["two_then_one", "one_then_two"])
def test_a_run_goes_on_with_another_number_of_processes(runs, folder):
    assert_same_run(runs / "one_then_one", runs / folder)
    assert [r["epoch"] for r in read_metrics(runs / folder / "metrics.jsonl")] == [0, 1, 2]


def command(manifest: Path, out: Path, *more: str) -> list[str]:
    sources = [f"data.train=manifest:{manifest}", f"data.test=manifest:{manifest}"]
    return [
        "-m",
        "unveil",
        "train",
        *SMALL,
        *sources,
        "train.epochs=12",
        "data.max_per_person=2",
        "--out",
        str(out),
        *more,
    ]


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "300"},
    )


def trainers(process: subprocess.Popen) -> list:
    found = psutil.Process(process.pid).children()
    return sorted((p for p in found if "spawn_main" in " ".join(p.cmdline())), key=lambda p: p.create_time())


def test_ctrl_c_saves_a_kill_ends_all_and_both_are_resumed(manifest, tmp_path):
    out = tmp_path / "run"
    process = start(command(manifest, out, "--devices", "2"))
    read_until(process, "epoch 1/12")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and text.count("error:") == 1 and "the state is saved" in text, text

    process = start(command(manifest, out, "--devices", "2", "--resume"))
    read_until(process, "epoch 3/12")
    both = trainers(process)
    assert len(both) == 2
    began = time.monotonic()
    both[1].kill()
    text, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 25 and not any(p.is_running() for p in both)
    assert process.returncode == 2 and text.count("error:") == 1
    error = text[text.index("error:") :]
    assert "process 2 of 2 ended by SIGKILL" in error and "--resume continues" in error
    # Python's own tracker may add what the killed process leaves behind; nothing of ours follows the sentence.
    assert "Traceback" not in error and error.count("unveil") == 0, error

    done = len(read_metrics(out / "metrics.jsonl"))
    model = train(load_recipe(None, [word for word in command(manifest, out) if "=" in word]), out, resume=True)
    assert model.card.epoch == 12 and model.card.figures
    epochs = [r["epoch"] for r in read_metrics(out / "metrics.jsonl") if "epoch" in r]
    assert done >= 3 and epochs == list(range(12))


def test_torchrun_starts_the_processes_too(manifest, tmp_path):
    out = tmp_path / "run"
    words = command(manifest, out, "train.epochs=1")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    process = start([*launcher, *words])
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    told = [line for line in text.splitlines() if line.startswith("model ")]
    assert len(told) == 1 and "2 x cpu" in text, text
    assert len(read_metrics(out / "metrics.jsonl")) > 1  # epoch and figures, once


def test_what_cannot_be_shared_is_refused_in_one_sentence():
    class Three(ManyProcesses):
        def __init__(self) -> None:
            self.rank, self.count = 0, 3

    with pytest.raises(RecipeError, match=r"a batch of 4 crops .* has no 3 equal parts"):
        Three().part(Batch(torch.zeros(4, 3, 8, 4), torch.arange(4)))
    with pytest.raises(UnveilError, match=r"train\.device=cuda:1: with several devices expected"):
        launch(print, devices=2, device="cuda:1")
    with pytest.raises(UnveilError, match="expected 2 or more"):
        launch(print, devices=1)


def test_gradients_are_averaged_behind_the_last_micro_batch_alone():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        module = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
        sent = []

        def count(_state, bucket):
            sent.append(bucket.buffer().clone())
            done = torch.futures.Future()
            done.set_result(bucket.buffer())
            return done

        module.register_comm_hook(None, count)
        for last in (False, False, True):
            with ManyProcesses.accumulate(None, module, last=last):
                module(torch.ones(1, 2)).sum().backward()
            assert len(sent) == last
        assert sent[0].tolist() == [3, 3, 3]
    finally:
        distributed.destroy_process_group()


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
SLURM = {"SLURM_NTASKS": "8", "SLURM_NTASKS_PER_NODE": "4", "SLURM_NNODES": "2"}


def test_who_has_started_the_processes():
    assert find_started(2, {}) is None
    assert find_started(None, TORCHRUN) == find_started(4, TORCHRUN) == Started("torchrun", 4, 2)
    assert find_started(4, SLURM) == Started("SLURM", 4, 2)
    assert find_started(None, SLURM) is None  # a batch script may have many tasks and train in one
    with pytest.raises(UnveilError, match=r"--devices 2, but torchrun has started 4 processes"):
        find_started(2, TORCHRUN)
    with pytest.raises(UnveilError, match="--ntasks-per-node"):
        find_started(4, {"SLURM_NTASKS": "8"})


def test_one_device_needs_no_fabric():
    code = (
        "import sys, unveil.training.loop, unveil.training.processes.launch; print('lightning_fabric' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
