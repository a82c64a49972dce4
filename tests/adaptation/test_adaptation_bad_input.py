"""What an adaptation does with crops that are too few, alike, without times, or of nobody, and when it is killed."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra adapt is not installed")

from tracked import PEOPLE, write_tracklets

from command_line import run
from generated import figure
from untrained import make_model
from unveil.adaptation.acceptance import compare_feedback
from unveil.adaptation.adapt import adapt
from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.estimate import estimate
from unveil.adaptation.groups.links import FeedbackPair, hold_out_feedback
from unveil.adaptation.groups.pseudo_labels import Links
from unveil.adaptation.settings import AdaptSettings
from unveil.adaptation.stages import clusters as clusters_module
from unveil.adaptation.task import tracklets_to_hold_out
from unveil.data.fitting import CropSize
from unveil.datasets.sources import crops_of
from unveil.errors import DataError
from unveil.gallery.ingest.quality import find_parser
from unveil.models.checkpoint import load_model
from unveil.records import Dataset, Embedding

SHORT = AdaptSettings(epochs=2, persons=4, neighbours=3, held_out=0.4)
STATISTICS = dataclasses.replace(SHORT, stages=("statistics",))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def changed(dataset, **fields):
    return Dataset("changed", tuple(dataclasses.replace(s, **fields) for s in dataset.samples))


def test_one_camera_has_statistics_and_nothing_is_said_of_others(model, dataset, cache, tmp_path, caplog):
    one = Dataset("one", tuple(s for s in dataset.samples if s.camera == "c0"))
    with caplog.at_level(logging.INFO):
        adapted = adapt(model, [one], out=tmp_path / "out", settings=STATISTICS, cache=cache, keep_worse=True)
    assert adapted.cameras == ("c0",) and "one camera only" in caplog.text
    assert adapted.card.adaptation.evaluation["tracklets"] == round(0.4 * PEOPLE)


def test_without_tracklets_it_is_adapted_and_said_to_be_not_evaluated(model, dataset, cache, tmp_path, caplog):
    adapted = adapt(model, [changed(dataset, tracklet=None)], out=tmp_path / "out", settings=STATISTICS, cache=cache)
    assert adapted.card.adaptation.evaluation == {} and "cannot be evaluated" in caplog.text


@pytest.mark.parametrize(("share", "tracklets", "count"), [
    (0.2, 19, 0), (0.2, 20, 10), (0.2, 49, 10), (0.2, 100, 20), (0.0, 100, 0), (0.5, 20, 10),
])  # fmt: skip
def test_enough_tracklets_are_held_out_or_none_is_lost_for_it(share, tracklets, count):
    assert tracklets_to_hold_out(share, tracklets=tracklets) == count


def test_one_tracklet_for_everything_is_too_few_crops(model, dataset, cache, tmp_path):
    one = changed(dataset, tracklet="t", camera="c0")
    with pytest.raises(DataError, match=r"8 different crops are too few .*of a tracklet at most 8 count"):
        adapt(model, [one], out=tmp_path / "out", settings=STATISTICS, cache=cache)


def test_without_times_a_half_searches_among_all_tracklets(model, dataset, cache, tmp_path):
    adapted = adapt(
        model, [changed(dataset, time=None)], out=tmp_path / "out", settings=STATISTICS, cache=cache, keep_worse=True
    )
    assert adapted.card.adaptation.evaluation["among"] == "all other held-out tracklets"


def test_crops_of_one_person_in_many_tracklets_are_too_few_clusters(model, dataset, cache, tmp_path):
    from PIL import Image

    samples = []
    for number, sample in enumerate(dataset.samples):
        path = tmp_path / f"{number}.png"
        Image.fromarray(figure(0, 0, number)).save(path)
        samples.append(dataclasses.replace(sample, path=path, camera="c0", tracklet=f"t{number // 4}", time=None))
    settings = dataclasses.replace(SHORT, stages=("clusters",), grouping="jaccard", neighbours=40, held_out=0.0)
    with pytest.raises(DataError, match=r"[0-3] clusters were found .* adapt the statistics alone"):
        adapt(model, [Dataset("one", tuple(samples))], out=tmp_path / "out", settings=settings, cache=cache)


def test_crops_without_a_person_are_left_out(tmp_path, caplog):
    from PIL import Image

    parser = find_parser(1)
    if parser is None:
        pytest.skip("the extra onnx is not installed")
    manifest = write_tracklets(tmp_path / "crops", people=14)
    flat = []
    for number in range(30):
        path = tmp_path / f"flat{number}.png"
        Image.fromarray(np.full((64, 32, 3), 60 + number, np.uint8)).save(path)
        flat.append(dataclasses.replace(crops_of(str(manifest)).samples[0], key=f"flat{number}", path=path))
    with pytest.raises(DataError, match=r"0 different crops .*; 30 show no person"):
        UnlabelledCrops.open(
            [Dataset("flat", tuple(dataclasses.replace(s, tracklet=None) for s in flat))], CropSize(64, 32),
            per_tracklet=8, cache=tmp_path / "cache", parser=parser,
        )  # fmt: skip
    assert "30 crops without a person are left out" in caplog.text


def test_cameras_that_are_held_out_are_not_learnt_and_evaluated_apart(model, dataset, cache, tmp_path):
    settings = dataclasses.replace(STATISTICS, hold_out_cameras=0.5)
    adapted = adapt(model, [dataset], out=tmp_path / "out", settings=settings, cache=cache, keep_worse=True)
    assert len(adapted.cameras) == 1
    evaluation = adapted.card.adaptation.evaluation
    assert evaluation["tracklets"] == round(0.4 * PEOPLE) and evaluation["new_cameras"]["tracklets"] == PEOPLE
    assert {"before", "after", "difference"} == set(evaluation["new_cameras"]["rank1"])
    one = Dataset("one", tuple(s for s in dataset.samples if s.camera == "c0"))
    with pytest.raises(DataError, match="needs at least two cameras, the crops have 1"):
        adapt(model, [one], out=tmp_path / "one", settings=settings, cache=cache)


@pytest.mark.parametrize("grouping", ["surest", "jaccard"])
def test_outfits_that_feedback_joins_stay_together_in_every_epoch(
    model, dataset, cache, tmp_path, monkeypatch, grouping
):
    """Figures of two people stand for one person in two outfits: nothing in the crops would join them."""
    keys = {(s.tracklet, s.camera): s.key for s in dataset.samples}
    same = [(("t0", "c0"), ("t9", "c1")), (("t4", "c1"), ("t17", "c1"))]
    other = [(("t2", "c0"), ("t2", "c1"))]  # alike, and two people all the same
    feedback = [
        FeedbackPair(f"0/{keys[a]}", f"0/{keys[b]}", is_same, f"{a}{b}")
        for pairs, is_same in ((same, True), (other, False))
        for a, b in pairs
    ]
    seen = []
    name = {"jaccard": "pseudo_labels", "surest": "group_surest"}[grouping]
    real = getattr(clusters_module, name)

    def spied(units, *known, **settings):
        found = real(units, *known, **settings)
        seen.append((found, known[-1]) if grouping == "jaccard" else (found.labels, settings["links"]))
        return found

    monkeypatch.setattr(clusters_module, name, spied)
    settings = dataclasses.replace(SHORT, stages=("statistics", "clusters"), grouping=grouping, held_out=0.0)
    adapt(model, [dataset], out=tmp_path / "out", settings=settings, feedback=feedback, cache=cache)
    assert len(seen) == 2
    for labels, links in seen:
        assert len(links.must) == 2 and len(links.cannot) == PEOPLE // 2 * 2 + 1
        assert all(labels[a] == labels[b] >= 0 for a, b in links.must)
        assert all(labels[a] != labels[b] or labels[a] < 0 for a, b in links.cannot)


def test_feedback_that_contradicts_itself_parts():
    from unveil.adaptation.groups.pseudo_labels import pseudo_labels

    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(4, 16), 6, axis=0) + 0.1 * rng.standard_normal((24, 16))
    units = Embedding(vectors[:, None].astype(np.float32), np.ones((24, 1), np.float32))
    both = np.array([[0, 7]])
    labels = pseudo_labels(units, Links(both, both), radius=0.55, neighbours=5, smallest=2)
    assert labels[0] != labels[7]


def test_held_out_feedback_is_evaluated_by_how_many_rejected_pairs_are_farther():
    angles = np.radians([0, 10, 20, 40, 60, 80, 5, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)[:, None].astype(np.float32)
    units = Embedding(vectors, np.ones((8, 1), np.float32))
    must = np.array([[0, 1], [0, 2], [0, 6], [1, 2], [1, 6]])
    cannot = np.array([[0, 3], [0, 4], [0, 5], [0, 7], [1, 7]])
    told = compare_feedback(Links(must, cannot), units, after=units)
    assert (told["auc"]["before"], told["auc"]["after"], told["confirmed"], told["rejected"]) == (100, 100, 5, 5)
    blind = dataclasses.replace(units, vectors=np.ones_like(units.vectors))
    assert compare_feedback(Links(must, cannot), units, after=blind)["auc"]["after"] == 50
    assert compare_feedback(Links(must[:4], cannot), units, after=units) is None


def test_feedback_of_one_search_is_learnt_or_held_out_together():
    pairs = [FeedbackPair(f"0/{n}", f"0/{n + 1}", bool(n % 2), f"search {n // 4}") for n in range(40)]
    learnt, held_out = hold_out_feedback(pairs, 0.3, seed=0)
    assert len(held_out) == 12 and not {p.search for p in learnt} & {p.search for p in held_out}
    assert hold_out_feedback(pairs, 0.3, seed=0) == (learnt, held_out)
    assert hold_out_feedback(pairs, 0.0, seed=0) == (pairs, [])


def test_time_and_memory_are_estimated_before_it_begins(model, dataset, cache, tmp_path, caplog):
    crops = UnlabelledCrops.open([dataset], model.crop_size, per_tracklet=8, cache=cache)
    before = {name: tensor.clone() for name, tensor in model.method.state_dict().items()}
    few, many = (estimate(model, crops, settings=dataclasses.replace(SHORT, epochs=n)) for n in (1, 400))
    weights = sum(t.numel() * t.element_size() for t in before.values())
    assert many.seconds > 20 * few.seconds > 0 and many.bytes == few.bytes > 7 * weights
    assert all(bool((before[name] == tensor).all()) for name, tensor in model.method.state_dict().items())
    with caplog.at_level(logging.INFO):
        adapt(model, [dataset], out=tmp_path / "out", settings=STATISTICS, cache=cache, keep_worse=True)
    assert "estimate: about " in caplog.text and " GiB of memory" in caplog.text


KILLED = """
    import sys
    import unveil.adaptation.adapt as module
    from unveil.cli import main

    take = module.take_statistics

    def told(*words, **options):
        found = take(*words, **options)
        print("measured", flush=True)
        sys.stdin.readline()
        return found

    module.take_statistics = told
    main()
"""


def test_killed_with_its_statistics_measured_it_gives_the_same_model_when_run_again(manifest, cache, tmp_path):
    base = make_model(tmp_path / "base", height=64, width=32)

    def words(out):
        return ["adapt", base, manifest, "--out", tmp_path / out, "--stages", "statistics", "--keep-worse",
                "--skip-person-check", "--cache", cache, "--device", "cpu"]  # fmt: skip

    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), *map(str, words("killed"))], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout.readline() == "measured\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    for out in ("killed", "whole"):
        run(*words(out))
    killed, whole = (load_model(tmp_path / out).card.fingerprint for out in ("killed", "whole"))
    assert killed == whole
