import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from unveil.errors import (
    CheckpointError,
    DataError,
    InterruptedRunError,
    ProtocolError,
    RecipeError,
    TrainingError,
    UnveilError,
)
from unveil.methods.baselines.bot import BoT
from unveil.models.checkpoint import load_model, save_model
from unveil.models.parsing_maps import open_training_set
from unveil.nn.backbones.choice import build_backbone
from unveil.nn.backbones.osnet import OSNet
from unveil.nn.backbones.resnet import ResNet
from unveil.recipe import BackboneChoice, load_recipe
from unveil.training.divergence import check_embedding
from unveil.training.loop import train
from unveil.training.metrics import read_metrics
from unveil.training.optimisers import set_frozen

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


def start(manifest: Path, out: Path, *more: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [sys.executable, "-m", "unveil", "train", *overrides(manifest, *more), "--out", str(out), *options]
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


@pytest.fixture(scope="module")
def four(manifest, tmp_path_factory) -> Path:
    """A run of four epochs without interruption."""
    out = tmp_path_factory.mktemp("four")
    train(recipe(manifest, "train.epochs=4"), out / "run")
    return out / "run"


def test_a_run_leaves_what_it_promises(four):
    names = {path.name for path in four.iterdir()}
    assert {"recipe.yaml", "metrics.jsonl", "model.safetensors", "model.json", "best.safetensors", "resume.pt"} <= names
    assert not [name for name in names if name.endswith(".tmp")]
    epochs = [r for r in read_metrics(four / "metrics.jsonl") if "loss" in r]
    assert [r["epoch"] for r in epochs] == [0, 1, 2, 3]
    card = load_model(four).card
    assert card.epoch == 4 and card.persons == 6
    assert card.figures[0]["protocol"] and card.figures[0]["protocol_hash"]


def test_training_learns(manifest, tmp_path):
    train(recipe(manifest, "train.epochs=15", "optim.lr=3e-3", "augment.erase=none"), tmp_path / "run")
    losses = [r["loss"] for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in r]
    assert losses[-1] < 0.7 * losses[0]


def test_the_saved_recipe_is_the_resolved_one(four, manifest):
    assert load_recipe(four / "recipe.yaml") == recipe(manifest, "train.epochs=4")


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(four, manifest, tmp_path):
    train(recipe(manifest, "train.epochs=4"), tmp_path / "again")
    assert same_weights(four, tmp_path / "again")
    train(recipe(manifest, "train.epochs=4", "train.seed=1"), tmp_path / "other")
    assert not same_weights(four, tmp_path / "other")


def test_two_epochs_kill_and_resume_equal_four(four, manifest, tmp_path):
    out = tmp_path / "run"
    process = start(manifest, out, "train.epochs=4")
    read_until(process, "epoch 3/4")
    process.kill()
    process.wait()
    resumed = start(manifest, out, "train.epochs=4", options=("--resume",))
    text, _ = resumed.communicate()
    assert resumed.returncode == 0, text
    assert same_weights(four, out)
    records = [r for r in read_metrics(out / "metrics.jsonl") if "loss" in r]
    assert [r["epoch"] for r in records] == [0, 1, 2, 3]


def test_ctrl_c_saves_in_the_middle_of_an_epoch_and_resume_equals_an_uninterrupted_run(four, manifest, tmp_path):
    out = tmp_path / "run"
    process = start(manifest, out, "train.epochs=4")
    read_until(process, "epoch 2/4")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate()
    assert process.returncode == 130 and "--resume" in text
    resumed = start(manifest, out, "train.epochs=4", options=("--resume",))
    text, _ = resumed.communicate()
    assert resumed.returncode == 0, text
    assert same_weights(four, out)


def test_a_run_is_neither_overwritten_nor_mixed_with_another(four, manifest, tmp_path):
    with pytest.raises(UnveilError, match=r"already holds a run.*--resume"):
        train(recipe(manifest, "train.epochs=4"), four)
    with pytest.raises(CheckpointError, match=r"another recipe: optim\.lr was 0\.001 and is 0\.0001\. Give the same"):
        train(recipe(manifest, "train.epochs=4", "optim.lr=1e-4"), four, resume=True)
    with pytest.raises(CheckpointError, match=r"method\.name was 'bot' and is 'sbs'"):
        train(recipe(manifest, "train.epochs=4", "method.name=sbs"), four, resume=True)
    with pytest.raises(CheckpointError, match=r"sampler\.images was 2 and is 3; train\.seed was 0 and is 1"):
        train(recipe(manifest, "train.epochs=4", "sampler.images=3", "train.seed=1"), four, resume=True)
    with pytest.raises(CheckpointError, match=r"has 4 epochs behind it, train\.epochs=2"):
        train(recipe(manifest, "train.epochs=2"), four, resume=True)
    with pytest.raises(CheckpointError, match="nothing to resume"):
        train(recipe(manifest), tmp_path / "empty", resume=True)


def test_a_state_of_other_crops_is_refused(manifest, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(manifest.parent, other)
    run = recipe(other / "manifest.csv", "train.epochs=1")
    train(run, tmp_path / "run")
    one, two = sorted((other / "images").glob("p00_*"))[:2]
    one.write_bytes(two.read_bytes())
    with pytest.raises(CheckpointError, match="belongs to other data: the training crops have the hash"):
        train(run, tmp_path / "run", resume=True)


def test_a_finished_run_is_trained_on_and_equals_one_that_was_long_from_the_start(four, manifest, tmp_path):
    shutil.copytree(four, tmp_path / "run")
    model = train(recipe(manifest, "train.epochs=6"), tmp_path / "run", resume=True)
    train(recipe(manifest, "train.epochs=6"), tmp_path / "long")
    assert model.card.epoch == 6
    assert same_weights(tmp_path / "run", tmp_path / "long")
    records = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in r]
    assert [r["epoch"] for r in records] == list(range(6))
    assert load_recipe(tmp_path / "run" / "recipe.yaml").train.epochs == 6


def test_training_that_diverges_says_so_and_keeps_no_such_model(manifest, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match=r"diverged|not finite") as error:
        train(recipe(manifest, "train.epochs=3", "optim.lr=1e6", "optim.name=sgd"), out)
    assert "optim.lr" in str(error.value)
    if (out / "model.safetensors").exists():
        weights = load_file(out / "model.safetensors")
        assert all(torch.isfinite(value).all() for value in weights.values() if value.is_floating_point())


def test_vectors_that_are_not_finite_are_never_written(four, manifest, tmp_path):
    """A model whose losses were finite to the end, and whose running variance was not."""
    model = load_model(four)
    norm = next(m for m in model.method.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_mean.fill_(float("nan"))
    save_model(tmp_path / "nan.safetensors", model.method, card=model.card)
    out = tmp_path / "e.safetensors"
    command = [sys.executable, "-m", "unveil", "-q", "embed", str(tmp_path / "nan.safetensors"), str(manifest)]
    done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and not out.exists()
    assert "NaN or infinity for 72 of 72 crops" in " ".join(done.stderr.split())
    with pytest.raises(TrainingError, match="diverged: after epoch 4 the model embeds"):
        run = recipe(manifest, "train.epochs=4")
        data = open_training_set(run, None)
        check_embedding(load_model(tmp_path / "nan.safetensors").method, data, size=run.input, epochs=4, device="cpu")


def test_a_damaged_state_is_refused(four, manifest, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "resume.pt").write_bytes((four / "resume.pt").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"resume\.pt is damaged"):
        train(recipe(manifest, "train.epochs=4"), tmp_path / "run", resume=True)


def test_a_state_with_one_wrong_byte_or_other_optimisers_is_refused(four, manifest, tmp_path):
    """PyTorch reads tensors whose bytes changed, and its optimisers raise whatever they come across."""
    out = tmp_path / "run"
    out.mkdir()
    sound = (four / "resume.pt").read_bytes()
    spoiled = bytearray(sound)
    spoiled[len(sound) // 2] ^= 1
    state = torch.load(four / "resume.pt", weights_only=True)
    written = tmp_path / "other.pt"
    for changes in ({"optimisers": []}, {"optimisers": [{}] * len(state["optimisers"])}, {"torch": torch.zeros(3)}):
        torch.save(state | changes, written)
        (out / "resume.pt").write_bytes(written.read_bytes())
        with pytest.raises(CheckpointError, match=r"resume\.pt is damaged"):
            train(recipe(manifest, "train.epochs=4"), out, resume=True)
    (out / "resume.pt").write_bytes(spoiled)
    with pytest.raises(CheckpointError, match=r"resume\.pt is damaged"):
        train(recipe(manifest, "train.epochs=4"), out, resume=True)


@pytest.mark.parametrize("line", ["[1]", "{}", '{"iteration": "x"}', "{", "\xff", "[" * 100_000])
def test_metrics_are_read_up_to_what_is_none(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"iteration": 0}}\n{{"iteration": 1}}\n{line}\n{{"iteration": 2}}\n', encoding="latin-1")
    assert [record["iteration"] for record in read_metrics(path)] == [0, 1]


def test_nan_in_a_loss_stops_with_its_name_and_keeps_the_last_checkpoint(manifest, tmp_path, monkeypatch):
    normal = BoT.losses

    def broken(self, batch, step):
        terms = normal(self, batch, step)
        return terms | {"triplet": terms["triplet"] * float("nan")} if step.epoch == 1 else terms

    monkeypatch.setattr(BoT, "losses", broken)
    with pytest.raises(TrainingError, match=r"not finite in epoch 2.*triplet.*last checkpoint is intact"):
        train(recipe(manifest, "train.epochs=3"), tmp_path / "run")
    assert load_model(tmp_path / "run").card.epoch == 1


def test_an_evaluation_that_fails_loses_nothing(manifest, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise UnveilError("no figures today")

    with monkeypatch.context() as patch:
        patch.setattr("unveil.training.keeping.evaluate_model", broken)
        with pytest.raises(UnveilError, match="no figures today"):
            train(recipe(manifest, "train.epochs=2", "train.checkpoint_every=5"), tmp_path / "run")
    assert load_model(tmp_path / "run").card.epoch == 2 and not load_model(tmp_path / "run").card.figures
    model = train(recipe(manifest, "train.epochs=2", "train.checkpoint_every=5"), tmp_path / "run", resume=True)
    assert model.card.figures


@pytest.mark.parametrize("lost", ["model", "figures"])
def test_what_a_kill_left_out_after_the_last_epoch_is_made_good(four, manifest, tmp_path, lost):
    out = tmp_path / "run"
    shutil.copytree(four, out)
    if lost == "model":
        (out / "model.safetensors").unlink()
    else:
        model = load_model(out)
        save_model(out / "model.safetensors", model.method, card=model.card.model_copy(update={"figures": ()}))
    model = train(recipe(manifest, "train.epochs=4"), out, resume=True)
    assert same_weights(four, out)
    assert model.card.figures == load_model(four).card.figures


def test_slices_of_time_equal_an_uninterrupted_run(manifest, tmp_path):
    once, sliced, stops = tmp_path / "once", tmp_path / "sliced", 0
    train(recipe(manifest, "train.epochs=1"), once)
    while True:
        try:  # no time at all: every slice is one step
            train(recipe(manifest, "train.epochs=1"), sliced, resume=stops > 0, minutes=0)
            break
        except InterruptedRunError as e:
            assert "the state is saved" in str(e)
            stops += 1
    assert stops == read_metrics(once / "metrics.jsonl")[0]["iteration"]
    assert same_weights(once, sliced)


def test_a_protocol_that_the_data_cannot_answer_is_known_before_training(manifest, tmp_path):
    plain = manifest.parent / "without_clothes.csv"
    plain.write_text(
        "\n".join(",".join(row.split(",")[i] for i in (0, 1, 2, 4)) for row in manifest.read_text().split())
    )
    with pytest.raises(ProtocolError, match="'clothes'"):
        train(recipe(plain, "data.protocols=[cross_clothes]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_finished_model_is_never_overwritten_even_without_its_state(four, manifest, tmp_path):
    shutil.copytree(four, tmp_path / "run")
    (tmp_path / "run" / "resume.pt").unlink()
    with pytest.raises(UnveilError, match="already holds a run"):
        train(recipe(manifest, "train.epochs=4"), tmp_path / "run")


def test_the_rate_falls_once_at_a_milestone_though_epochs_differ_in_length(manifest, tmp_path, monkeypatch):
    from unveil.data import samplers
    from unveil.training import loop

    rates = []
    monkeypatch.setattr(
        loop, "train_step", lambda run, indices, epoch, rate: rates.append((epoch, rate)) or {"loss": 0.0}
    )
    normal = samplers.epoch_batches
    monkeypatch.setattr(
        loop, "epoch_batches", lambda *args, **options: normal(*args, **options)[: 3 + options["epoch"] % 3]
    )
    steps = ["schedule.milestones=[3]", "train.epochs=6", "optim.lr=1"]
    train(recipe(manifest, *steps), tmp_path / "run")
    assert all(rate == pytest.approx(1.0 if epoch < 3 else 0.1) for epoch, rate in rates)


def test_a_recipe_without_data_or_with_missing_labels_is_refused(manifest, tmp_path):
    with pytest.raises(RecipeError, match=r"data\.train is empty"):
        train(load_recipe(None, SMALL), tmp_path / "a")
    with pytest.raises(RecipeError, match=r"parsing maps \(pab6\).*unveil parse"):
        train(recipe(manifest, "method.name=pab"), tmp_path / "b")
    with pytest.raises(DataError, match=r"sampler\.persons=6 or less"):
        train(recipe(manifest, "sampler.persons=99"), tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_the_learning_rate_and_the_speed_are_in_the_metrics(four):
    record = read_metrics(four / "metrics.jsonl")[0]
    assert record["lr"] == pytest.approx(1e-3) and record["images_per_second"] > 0
    assert json.loads((four / "model.json").read_text())["recipe"]["optim"]["lr"] == 1e-3


@pytest.mark.parametrize("method", ["bot", "sbs"])
def test_a_frozen_backbone_keeps_its_statistics_and_its_non_local_blocks(manifest, tmp_path, method):
    states = {}
    begin = tmp_path / "begin.safetensors"
    save_file(ResNet(18).state_dict(), begin)
    for frozen, epochs in ((1000, 1), (1000, 2), (1, 2)):
        out = tmp_path / f"{frozen}-{epochs}"
        changes = (
            f"method.name={method}",
            "backbone.name=resnet18",
            f"backbone.init={begin}",
            "schedule.kind=constant",
        )
        train(recipe(manifest, *changes, f"optim.freeze_iterations={frozen}", f"train.epochs={epochs}"), out)
        states[frozen, epochs] = load_file(out / "model.safetensors")
    once, twice, released = states.values()
    inside = [key for key in once if key.startswith(("backbone.", "attention."))]
    assert any("running_mean" in key for key in inside)
    assert any(key.startswith("attention.") for key in inside) == (method == "sbs")
    changed = [key for key in once if not torch.equal(once[key], twice[key])]
    assert changed and not set(changed) & set(inside)
    still = [key for key in inside if torch.equal(once[key], released[key])]
    assert still == []  # released, everything trains


@pytest.mark.parametrize("setting", ["optim.freeze_iterations=10", "backbone.frozen_stages=1"])
def test_freezing_a_random_backbone_is_refused(manifest, tmp_path, setting):
    with pytest.raises(RecipeError, match="random weights"):
        train(recipe(manifest, setting), tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_run_says_what_it_starts_from(manifest, tmp_path, four):
    with pytest.raises(RecipeError, match=r"backbone\.init"):
        train(recipe(manifest, "backbone.init=null"), tmp_path / "run")
    card = load_model(four).card
    assert card.start is not None and card.start.kind == "random"
    assert card.started_from == load_model(four).summary.start == "random weights"


def test_a_resumed_run_needs_its_start_no_more(manifest, tmp_path):
    begin = tmp_path / "begin.safetensors"
    save_file(OSNet(0.25).state_dict(), begin)
    train(recipe(manifest, f"backbone.init={begin}", "train.epochs=1"), tmp_path / "run")
    begin.unlink()
    train(recipe(manifest, f"backbone.init={begin}", "train.epochs=2"), tmp_path / "run", resume=True)
    start = load_model(tmp_path / "run").card.start
    assert (start.kind, start.name, start.licence) == ("file", "begin.safetensors", "unstated")
    (tmp_path / "run/start.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"start\.json is damaged"):
        train(recipe(manifest, f"backbone.init={begin}", "train.epochs=3"), tmp_path / "run", resume=True)


def test_a_method_without_a_network_starts_from_nothing(manifest, tmp_path):
    plain = ["method.name=histogram", "backbone.init=null", "train.epochs=1", "augment.erase=none"]
    card = train(recipe(manifest, *plain), tmp_path / "run").card
    assert card.started_from == "no network"


def test_stages_frozen_for_good_stay_so_when_the_backbone_is_released():
    backbone = build_backbone(BackboneChoice(name="resnet18", frozen_stages=1))
    for frozen in (True, False):
        set_frozen([backbone], frozen=frozen)
        assert not backbone.layer1[0].conv1.weight.requires_grad and not backbone.layer1[0].bn1.training
        assert backbone.layer2[0].conv1.weight.requires_grad != frozen
