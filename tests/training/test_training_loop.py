"""The training loop: what a run leaves, learns and refuses."""

import json
import math
import signal

import pytest
import torch
from safetensors.torch import load_file
from small_runs import SMALL, recipe, same_weights

from command_line import refused
from unveil.errors import (
    DataError,
    ProtocolError,
    RecipeError,
    TrainingError,
    UnveilError,
)
from unveil.methods.baselines.bot import BoT
from unveil.models.checkpoint import load_model, save_model
from unveil.models.parsing_maps import open_training_set
from unveil.recipe import load_recipe
from unveil.training import loop
from unveil.training.divergence import check_embedding
from unveil.training.loop import train
from unveil.training.metrics import read_metrics
from unveil.training.step import train_step


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
    said = refused("embed", tmp_path / "nan.safetensors", manifest, "--out", out)
    assert "NaN or infinity for 72 of 72 crops" in said and not out.exists()
    with pytest.raises(TrainingError, match="diverged: after epoch 4 the model embeds"):
        four_epochs = recipe(manifest, "train.epochs=4")
        data, method = open_training_set(four_epochs, None), load_model(tmp_path / "nan.safetensors").method
        check_embedding(method, data, size=four_epochs.input, epochs=4, device="cpu")


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


@pytest.mark.parametrize("stopped", [False, True])
def test_a_network_whose_running_statistics_diverge_leaves_the_state_as_it_was(
    manifest, tmp_path, monkeypatch, stopped
):
    """Losses do not show it; neither the end of the epoch nor a stop within it may write over the good state."""

    def broken(run, micro_batches, *, epoch, rate):
        values = train_step(run, micro_batches, epoch=epoch, rate=rate)
        if epoch == 1:
            next(m for m in run.method.modules() if isinstance(m, torch.nn.BatchNorm2d)).running_mean.fill_(math.nan)
            if stopped:
                signal.getsignal(signal.SIGINT)(signal.SIGINT, None)  # as Ctrl-C, which this worker has to survive
        return values

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", broken)
        with pytest.raises(TrainingError, match=r"diverged.*last checkpoint is intact.*optim\.lr.*needs a new run"):
            train(recipe(manifest, "train.epochs=3"), out)
    state = torch.load(out / "resume.pt", weights_only=True)
    assert state["progress"]["epoch"] == 1 and state["progress"]["batch"] == 0
    assert all(value.isfinite().all() for value in state["method"].values())
    assert train(recipe(manifest, "train.epochs=3"), out, resume=True).card.epoch == 3


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


def test_a_protocol_that_the_data_cannot_answer_is_known_before_training(manifest, tmp_path):
    plain = manifest.parent / "without_clothes.csv"
    plain.write_text(
        "\n".join(",".join(row.split(",")[i] for i in (0, 1, 2, 4)) for row in manifest.read_text().split())
    )
    with pytest.raises(ProtocolError, match="'clothes'"):
        train(recipe(plain, "data.protocols=[cross_clothes]"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_rate_falls_once_at_a_milestone_though_epochs_differ_in_length(manifest, tmp_path, monkeypatch):
    from unveil.data import samplers

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


def test_what_a_method_tells_of_its_losses_is_in_the_metrics_and_not_in_their_sum(manifest, tmp_path):
    ssgr = ["method.name=ssgr", "method.alpha=40", "backbone.name=resnet18_x0_5", "augment.erase=none"]
    train(recipe(manifest, *ssgr, "train.epochs=1"), tmp_path / "run")
    record = read_metrics(tmp_path / "run" / "metrics.jsonl")[0]
    terms = [record[name] for name in ("id_gf", "bed_gf", "id_rpf", "bed_rpf")]
    assert record["loss"] == pytest.approx(sum(terms))
    assert 0 < record["saturated"] <= 1  # pairs so bounded have hardly a gradient


def test_a_recipe_without_data_or_with_missing_labels_is_refused(manifest, tmp_path):
    with pytest.raises(RecipeError, match=r"data\.train is empty"):
        train(load_recipe(None, SMALL), tmp_path / "a")
    with pytest.raises(RecipeError, match=r"parsing maps \(pab6\).*unveil parse"):
        train(recipe(manifest, "method.name=pab"), tmp_path / "b")
    with pytest.raises(RecipeError, match=r"augment\.background=0\.3 .* not every training set has them"):
        train(recipe(manifest, "augment.background=0.3"), tmp_path / "b")
    with pytest.raises(DataError, match=r"sampler\.persons=6 or less"):
        train(recipe(manifest, "sampler.persons=99"), tmp_path / "c")
    with pytest.raises(DataError, match=r"sampler\.alike needs different people in a batch"):
        train(recipe(manifest, "sampler.alike=0.5", "sampler.kind=pk_groups"), tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_the_learning_rate_and_the_speed_are_in_the_metrics(four):
    record = read_metrics(four / "metrics.jsonl")[0]
    assert record["lr"] == pytest.approx(1e-3) and record["images_per_second"] > 0
    assert json.loads((four / "model.json").read_text())["recipe"]["optim"]["lr"] == 1e-3
