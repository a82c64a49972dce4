"""Gradient accumulation and activation checkpointing in the loop: what a step is, and that whole steps alone count."""

import logging
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from unveil.data.augment.pipeline import normalise
from unveil.data.samplers import epoch_batches
from unveil.errors import InterruptedRunError, RecipeError
from unveil.methods.baselines.cal import CAL
from unveil.methods.method import LabelSpace, Step
from unveil.models.checkpoint import new_model
from unveil.models.parsing_maps import open_training_set
from unveil.recipe import load_recipe
from unveil.training import loop
from unveil.training.average import WeightAverage
from unveil.training.loop import train
from unveil.training.metrics import read_metrics
from unveil.training.optimisers import build_auxiliary_optimiser, build_optimiser
from unveil.training.state import NAME as STATE

SMALL = [
    "method={name: cal, clothes_start_epoch: 0}",
    "backbone={name: osnet_x0_25, init: random}",
    "input={height: 64, width: 32}",
    "sampler.persons=3",
    "sampler.images=2",
    "optim.lr=1e-3",
    "optim.clip_norm=1",
    "schedule.kind=constant",
    "train.average=0.9",
    "train.eval_every=0",
    "train.accumulate=2",
]
PLAIN = ["augment={crop: none, flip: 0, erase: none}"]


def recipe(manifest, *more):
    return load_recipe(None, [*SMALL, f"data.train=manifest:{manifest}", "data.test=[]", "train.epochs=1", *more])


def weights(folder):
    return load_file(folder / "model.safetensors")


def assert_same_bits(first, second):
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def whole(manifest, tmp_path_factory):
    """A run of two epochs with accumulation, never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(recipe(manifest, "train.epochs=2"), out)
    return out


def test_a_run_is_the_naive_loop(manifest, tmp_path):
    changed = recipe(manifest, *PLAIN)
    train(changed, tmp_path / "run")

    torch.manual_seed(changed.train.seed)
    data = open_training_set(changed)
    method = new_model(changed, LabelSpace(data.persons, data.clothes, data.outfits))
    method = method.to(memory_format=torch.channels_last).train()
    main, head = build_optimiser(method, changed.optim), build_auxiliary_optimiser(method, changed.optim)
    average = WeightAverage(method, 0.9)
    (classifier,) = method.auxiliary_parameters()
    batches = epoch_batches(data, changed.sampler, seed=changed.train.seed, epoch=0)
    assert len(batches) % 2 == 1  # the last step has one batch, and its whole gradient
    losses = []
    for iteration, start in enumerate(range(0, len(batches), 2)):
        pair, gradients = batches[start : start + 2], []

        def step_head(loss, pair=pair, gradients=gradients):
            gradients.append(torch.autograd.grad(loss, classifier)[0])
            if len(gradients) == len(pair):
                classifier.grad = torch.stack(gradients).mean(0)
                head.step()

        terms = []
        main.zero_grad()
        for rows in pair:
            batch = normalise(data.batch(rows, "cpu"), changed.input)
            images = batch.images.contiguous(memory_format=torch.channels_last)
            found = method.losses(batch.replace(images=images), Step(0, iteration, step_head))
            loss = torch.stack(list(found.values())).sum()
            (loss / len(pair)).backward()
            terms.append(loss.item())
        trained = [p for group in main.param_groups for p in group["params"] if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(trained, 1)
        main.step()
        average.update(method, iteration)
        losses.append(np.mean(terms))
    assert head.state[classifier]["step"] == main.state[trained[0]]["step"] == len(losses)

    found = weights(tmp_path / "run")
    for name, tensor in average.state.items():
        torch.testing.assert_close(found[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
    (record,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert record["iteration"] == len(losses) - 1
    assert record["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_rates_progress_and_the_sizes_of_steps_count_steps(manifest, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(
        loop, "train_step", lambda run, batches, epoch, rate: taken.append((len(batches), rate)) or {"loss": 1.0}
    )
    shown = []
    monkeypatch.setattr(loop, "track", lambda items, text, total: shown.append(total) or items)
    data = open_training_set(recipe(manifest))
    batches = len(epoch_batches(data, recipe(manifest).sampler, seed=0, epoch=0))
    warm = recipe(manifest, "optim.lr=1", "schedule.warmup_iterations=10", f"train.accumulate={batches - 1}")
    monkeypatch.setattr(loop, "evaluate_and_keep", lambda *_: None)
    monkeypatch.setattr(loop, "load_model", lambda *_: None)
    train(warm, tmp_path / "run")
    assert taken == [(batches - 1, pytest.approx(0.01)), (1, pytest.approx(0.01 + 0.99 / 10))]
    assert shown == [2]


def test_ctrl_c_between_micro_batches_ends_the_step_first_and_resumes_to_the_bit(
    whole, manifest, tmp_path, monkeypatch
):
    normal, calls = CAL.losses, []

    def interrupted(self, batch, step):
        calls.append(step.iteration)
        if len(calls) == 3:  # the first micro-batch of the second step
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)  # as Ctrl-C, which this worker has to survive
        return normal(self, batch, step)

    with monkeypatch.context() as patch:
        patch.setattr(CAL, "losses", interrupted)
        with pytest.raises(InterruptedRunError, match="the state is saved"):
            train(recipe(manifest, "train.epochs=2"), tmp_path / "run")
    assert calls == [0, 0, 1, 1]
    progress = torch.load(tmp_path / "run" / STATE, weights_only=True)["progress"]
    assert (progress["batch"], progress["iteration"]) == (2, 2)
    train(recipe(manifest, "train.epochs=2"), tmp_path / "run", resume=True)
    assert_same_bits(whole, tmp_path / "run")


def test_checkpointing_changes_no_bit_and_may_begin_in_the_middle_of_a_run(whole, manifest, tmp_path):
    changed = recipe(manifest, "train.epochs=2", "train.activation_checkpointing=true")
    train(changed, tmp_path / "all")
    assert_same_bits(whole, tmp_path / "all")
    with pytest.raises(InterruptedRunError):
        train(recipe(manifest, "train.epochs=2"), tmp_path / "half", minutes=0)
    train(changed, tmp_path / "half", resume=True)
    assert_same_bits(whole, tmp_path / "half")


def test_a_state_from_before_the_settings_is_resumed(manifest, tmp_path):
    once = recipe(manifest, "train.accumulate=1")
    with pytest.raises(InterruptedRunError):
        train(once, tmp_path / "run", minutes=0)
    state = torch.load(tmp_path / "run" / STATE, weights_only=True)
    for key in ("accumulate", "activation_checkpointing"):
        del state["identity"]["recipe"]["train"][key]
    torch.save(state, tmp_path / "run" / STATE)
    assert train(once, tmp_path / "run", resume=True).card.epoch == 1


def test_peak_memory_is_in_the_metrics_and_at_the_end_of_the_log(manifest, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="unveil.training.loop"):
        train(recipe(manifest), tmp_path / "run")
    assert "GiB of resident memory at most" in caplog.messages[-1] and "peak memory" in caplog.messages[-1]
    (record,) = read_metrics(tmp_path / "run/metrics.jsonl")
    assert 2**27 < record["peak_resident_bytes"] < 2**36


def test_what_cannot_be_is_refused_in_one_sentence(manifest, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.accumulate: Input should be greater than or equal to 1, found 0"):
        recipe(manifest, "train.accumulate=0")
    with pytest.raises(RecipeError, match=r"train\.accumulate=99: an epoch has only \d+ batches"):
        train(recipe(manifest, "train.accumulate=99"), tmp_path / "a")
    none = ["method={name: histogram}", "augment.erase=none", "train.activation_checkpointing=true"]
    with pytest.raises(RecipeError, match="method histogram has no backbone to checkpoint"):
        train(recipe(manifest, *none), tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_a_backbone_of_one_piece_is_refused_by_name(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr("unveil.nn.backbones.osnet.OSNet.checkpointable", lambda self: [])
    with pytest.raises(RecipeError, match=r"backbone osnet_x0_25 cannot be checkpointed: its stages are not modules"):
        train(recipe(manifest, "train.activation_checkpointing=true"), tmp_path / "run")
