"""A run that was killed, stopped or finished is resumed to the same weights, or refused."""

import shutil
import signal

import pytest
import torch
from small_runs import overrides, read_until, recipe, same_weights, start

from command_line import run
from unveil.errors import (
    CheckpointError,
    InterruptedRunError,
    UnveilError,
)
from unveil.models.checkpoint import load_model, save_model
from unveil.recipe import load_recipe
from unveil.training import loop
from unveil.training.loop import train
from unveil.training.metrics import read_metrics
from unveil.training.run import Run


def test_two_epochs_kill_and_resume_equal_four(four, manifest, tmp_path):
    out = tmp_path / "run"
    process = start(manifest, out, "train.epochs=4")
    read_until(process, "epoch 3/4")
    process.kill()
    process.wait()
    run("train", *overrides(manifest, "train.epochs=4"), "--out", out, "--resume")
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
    run("train", *overrides(manifest, "train.epochs=4"), "--out", out, "--resume")
    assert same_weights(four, out)


def test_batches_of_people_who_look_alike_are_kept_for_a_run_that_stops_among_them(manifest, tmp_path, monkeypatch):
    wanted = recipe(manifest, "sampler.alike=1", "train.epochs=2")
    train(wanted, tmp_path / "whole")
    step, steps = loop.train_step, []

    def stop_in_the_second_epoch(run, *args, epoch, **options):
        steps.append(epoch)
        if steps.count(1) == 2:
            signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
        return step(run, *args, epoch=epoch, **options)

    monkeypatch.setattr(loop, "train_step", stop_in_the_second_epoch)
    with pytest.raises(InterruptedRunError):
        train(wanted, tmp_path / "run")
    monkeypatch.undo()
    saved = torch.load(tmp_path / "run/resume.pt", weights_only=True)["progress"]
    assert saved["batch"] and saved["batches"].shape[1] == 6
    train(wanted, tmp_path / "run", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "run")


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


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_in_a_folder_is_refused_and_changes_nothing(four, manifest, tmp_path, monkeypatch, resume):
    out = shutil.copytree(four, tmp_path / "run") if resume else tmp_path / "run"
    other, normal = recipe(manifest, "train.epochs=5"), loop.train_step
    left = []

    def in_the_middle(run, micro_batches, *, epoch, rate):
        if not left:
            left.append({path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()})
            with pytest.raises(UnveilError, match=rf"another process writes into {out}: wait"):
                train(other, out, resume=resume)
            assert left[0] == {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()}
        return normal(run, micro_batches, epoch=epoch, rate=rate)

    monkeypatch.setattr(loop, "train_step", in_the_middle)
    assert train(other, out, resume=resume).card.epoch == 5 and left
    with pytest.raises(UnveilError, match="already holds a run"):
        train(other, out)


def test_a_state_of_another_kind_of_device_is_refused(four, manifest, tmp_path):
    out = shutil.copytree(four, tmp_path / "run")
    state = torch.load(out / "resume.pt", weights_only=True)
    torch.save(state | {"device": "cuda"}, out / "resume.pt")
    with pytest.raises(CheckpointError, match=r"was written on cuda; random numbers go on only there: train\.device"):
        train(recipe(manifest, "train.epochs=4"), out, resume=True)


def test_a_state_of_other_crops_is_refused(manifest, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(manifest.parent, other)
    one_epoch = recipe(other / "manifest.csv", "train.epochs=1")
    train(one_epoch, tmp_path / "run")
    one, two = sorted((other / "images").glob("p00_*"))[:2]
    one.write_bytes(two.read_bytes())
    with pytest.raises(CheckpointError, match="belongs to other data: the training crops have the hash"):
        train(one_epoch, tmp_path / "run", resume=True)


def test_a_finished_run_is_trained_on_and_equals_one_that_was_long_from_the_start(four, manifest, tmp_path):
    shutil.copytree(four, tmp_path / "run")
    model = train(recipe(manifest, "train.epochs=6"), tmp_path / "run", resume=True)
    train(recipe(manifest, "train.epochs=6"), tmp_path / "long")
    assert model.card.epoch == 6
    assert same_weights(tmp_path / "run", tmp_path / "long")
    records = [r for r in read_metrics(tmp_path / "run" / "metrics.jsonl") if "loss" in r]
    assert [r["epoch"] for r in records] == list(range(6))
    assert load_recipe(tmp_path / "run" / "recipe.yaml").train.epochs == 6


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


def test_a_finished_run_that_is_resumed_with_other_tests_is_measured_on_them(four, manifest, tmp_path):
    out = shutil.copytree(four, tmp_path / "run")
    other = shutil.copytree(manifest.parent, tmp_path / "elsewhere") / manifest.name
    for changes, datasets in (
        ([f"data.test=[manifest:{manifest},manifest:{other}]"], 2),
        ([f"data.test=[manifest:{manifest},manifest:{other}]", "data.protocols=[market]"], 2),
        ([], 1),
    ):
        asked = recipe(manifest, "train.epochs=4", *changes)
        card = train(asked, out, resume=True).card
        assert card.recipe == asked.model_dump(mode="json")
        assert len({tree["dataset"] for tree in card.figures}) == datasets
        assert not asked.data.protocols or {tree["protocol"] for tree in card.figures} == {"market"}
    assert card.figures == load_model(four).card.figures and same_weights(four, out)


def test_an_evaluation_that_a_kill_cut_is_made_good_in_every_epoch_that_has_one(four, manifest, tmp_path):
    out = shutil.copytree(four, tmp_path / "run")
    model = load_model(out)
    save_model(out / "model.safetensors", model.method, card=model.card.model_copy(update={"figures": ()}))
    (out / "metrics.jsonl").unlink()
    train(recipe(manifest, "train.epochs=5", "train.eval_every=1"), out, resume=True)
    measured = {r["iteration"] for r in read_metrics(out / "metrics.jsonl") if "loss" not in r}
    assert len(measured) == 2, "epoch 4, whose figures were lost, and the last"


def test_the_state_knows_the_best_figure_before_the_model_has_it(manifest, tmp_path, monkeypatch):
    """A run that is killed between the two would let a worse model take the place of the best."""
    best, save = [], Run.save

    def killed(run):
        best.append(run.state.best)
        if len(best) == 2:
            raise UnveilError("killed")
        save(run)

    one = recipe(manifest, "train.epochs=1")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", killed)
        with pytest.raises(UnveilError, match="killed"):
            train(one, tmp_path / "run")
    train(one, tmp_path / "run", resume=True)
    assert best[0] < 0 < best[1]
    assert torch.load(tmp_path / "run" / "resume.pt", weights_only=True)["progress"]["best"] == best[1]


def test_methods_that_draw_from_torch_resume_at_the_end_of_an_epoch_as_if_never_stopped(manifest, tmp_path):
    """SSGR erases by a generator that is seeded from torch's; looking for the kept model must not move that."""
    ssgr = ["method.name=ssgr", "backbone.name=resnet18_x0_5", "augment.erase=none"]
    for name, epochs in (("whole", 2), ("cut", 1)):
        train(recipe(manifest, *ssgr, f"train.epochs={epochs}"), tmp_path / name)
    train(recipe(manifest, *ssgr, "train.epochs=2"), tmp_path / "cut", resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "cut")


def test_slices_of_time_equal_an_uninterrupted_run(manifest, tmp_path):
    once, sliced, stops, seconds = tmp_path / "once", tmp_path / "sliced", 0, [0.0]
    train(recipe(manifest, "train.epochs=1"), once)
    while True:
        try:  # no time at all: every slice is one step
            train(recipe(manifest, "train.epochs=1"), sliced, resume=stops > 0, minutes=0)
            break
        except InterruptedRunError as e:
            assert "the state is saved" in str(e)
            stops += 1
            seconds.append(torch.load(sliced / "resume.pt", weights_only=True)["progress"]["seconds"])
    assert seconds == sorted(set(seconds)), "every slice adds its time"
    assert 0 < seconds[-1] <= load_model(sliced).card.seconds + 0.1, "the card tells the time of all"
    assert stops == read_metrics(once / "metrics.jsonl")[0]["iteration"]
    assert same_weights(once, sliced)


def test_a_finished_model_is_never_overwritten_even_without_its_state(four, manifest, tmp_path):
    shutil.copytree(four, tmp_path / "run")
    (tmp_path / "run" / "resume.pt").unlink()
    with pytest.raises(UnveilError, match="already holds a run"):
        train(recipe(manifest, "train.epochs=4"), tmp_path / "run")
