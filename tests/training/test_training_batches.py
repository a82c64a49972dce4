import threading

import pytest
import torch
from small_runs import recipe

from unveil.data.samplers import epoch_batches
from unveil.errors import TrainingError
from unveil.methods.baselines.bot import BoT
from unveil.models.parsing_maps import open_training_set
from unveil.training import loop
from unveil.training.batches import one_ahead


def test_the_next_is_loaded_by_a_thread_while_one_is_in_use_and_none_beyond_it():
    loaded, following, here = [], threading.Event(), threading.get_ident()

    def load(item):
        assert threading.get_ident() != here
        loaded.append(item)
        if item == 1:
            following.set()
        return 10 * item

    found = one_ahead(load, range(5))
    assert next(found) == 0
    assert following.wait(20)
    assert loaded == [0, 1]
    assert list(found) == [10, 20, 30, 40]
    assert loaded == [0, 1, 2, 3, 4]


def test_nothing_gives_nothing_and_what_is_none_or_empty_is_given():
    assert list(one_ahead(str, [])) == []
    assert list(one_ahead(lambda item: item, [None, [], 0])) == [None, [], 0]


def test_an_error_is_raised_when_its_turn_comes_and_nothing_is_loaded_after_it():
    def load(item):
        loaded.append(item)
        return 1 / item

    loaded = []
    found = one_ahead(load, [1, 0, 2, 3])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        list(found)
    assert loaded[:2] == [1, 0] and 3 not in loaded


def test_who_stops_early_waits_for_no_more_than_what_is_being_loaded():
    loaded = []
    found = one_ahead(loaded.append, range(100))
    next(found)
    found.close()
    assert len(loaded) <= 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("load")]


def test_the_loop_takes_the_batches_of_each_epoch_in_order_and_as_many_a_step_as_it_accumulates(
    manifest, tmp_path, monkeypatch
):
    steps = []

    def train_step(run, batches, epoch, rate):
        steps.append([batch.images.clone() for batch in batches])
        return {"loss": 0.0}

    monkeypatch.setattr(loop, "train_step", train_step)
    monkeypatch.setattr(loop, "evaluate_and_keep", lambda *_: None)
    monkeypatch.setattr(loop, "load_model", lambda *_: None)
    two = recipe(manifest, "train.epochs=2", "train.accumulate=2")
    loop.train(two, tmp_path / "run")
    data = open_training_set(two)
    expected = []
    for epoch in range(2):
        rows = epoch_batches(data, two.sampler, seed=0, epoch=epoch)
        expected += [[data.batch(row).images for row in rows[i : i + 2]] for i in range(0, len(rows), 2)]
    assert [len(step) for step in steps] == [len(step) for step in expected]
    for found, wanted in zip(steps, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_a_step_without_enough_memory_says_which_settings_need_less(manifest, tmp_path, monkeypatch):
    # PyTorch's own error: no machine has so much.
    monkeypatch.setattr(BoT, "losses", lambda self, batch, step: {"loss": torch.empty(2**55)})
    with pytest.raises(TrainingError, match=r"steps of 6 crops of 64x32.*sampler\.images.*activation_checkpointing"):
        loop.train(recipe(manifest), tmp_path / "run")
