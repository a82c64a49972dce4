"""Pooled training, cross-domain tests, means of splits, unreadable crops: real training on miniatures."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from unveil.cli import app
from unveil.data.training import TrainingSet
from unveil.errors import ProtocolError, UnveilError
from unveil.evaluation.evaluate import Result
from unveil.experiments.grid import Cell, run_grid, summary
from unveil.models.checkpoint import load_model
from unveil.models.evaluate import evaluate_model
from unveil.recipe import DataSource, load_recipe
from unveil.training.loop import train

TESTS = ("viper", "prid", "grid", "ilids")
SMALL = [
    "backbone.name=osnet_x0_25",
    "backbone.init=random",
    "input.height=32",
    "input.width=32",
    "train.epochs=1",
    "sampler.images=2",
]


def source(text):
    return DataSource.model_validate(text)


@pytest.fixture(scope="module")
def roots(tmp_path_factory, request):
    return tmp_path_factory.mktemp("sets")


@pytest.fixture
def pooled(roots, put, rendered):
    """Market-1501 and a world in one training, four small sets under ten splits each as the test."""
    places = {name: roots / name for name in (*TESTS, "market1501")}
    for name, place in places.items():
        places[name] = put(name, place)
    tests = ",".join(f"{name}:{places[name]}?splits=10" for name in TESTS)
    out = roots / "run"
    if not out.exists():
        train_on = f"data.train=market1501:{places['market1501']},world:{rendered}"
        train(load_recipe(None, [*SMALL, "sampler.persons=4", train_on, f"data.test={tests}"]), out)
    return out, places


def test_training_pools_datasets_and_keeps_their_people_apart(pooled, rendered):
    model = load_model(pooled[0])
    counts = {part.name.partition("-")[0]: part.persons for part in model.card.data}
    assert counts["market1501"] == 2 and counts["world"] == 2
    assert model.card.persons == 4
    recipe = model.recipe
    data = TrainingSet.open([read(s) for s in recipe.data.train], recipe.input)
    first = len(data.stores[0])
    assert not set(data.person_codes[:first]) & set(data.person_codes[first:])


def read(one):
    from unveil.datasets import load_dataset

    return load_dataset(one)


def test_one_training_reports_the_mean_of_ten_splits_of_each_test(pooled):
    out, places = pooled
    model = load_model(out)
    kept = [Result.from_json(tree) for tree in model.card.figures]
    assert [r.dataset for r in kept] == list(TESTS)
    assert all(r.splits == 10 for r in kept)
    prid = kept[1]
    each = [evaluate_model(model, [source(f"prid:{places['prid']}?split={n}")])[0] for n in range(10)]
    assert {r.protocol_hash for r in each} == {prid.protocol_hash}
    assert prid.mean_ap == pytest.approx(np.mean([r.mean_ap for r in each]), abs=1e-6)
    assert prid.std["mAP"] == pytest.approx(np.std([r.mean_ap for r in each], ddof=1), abs=1e-6)


def test_the_command_says_mean_standard_deviation_and_what_cannot_be_read(pooled):
    out, places = pooled
    run = CliRunner().invoke
    words = ["-q", "evaluate", str(out), f"prid:{places['prid']}?splits=10", "--rerank"]
    result = run(app, words)
    assert result.exit_code == 0 and result.output.count("mean of 10 splits") == 2 and " ± " in result.output
    broken = places["prid"] / "single_shot/cam_a/person_0003.png"
    broken.write_bytes(broken.read_bytes()[:50])
    result = run(app, words)
    assert result.exit_code == 1 and "1 crops cannot be read" in result.output
    found = json.loads(run(app, [*words, "--json"]).stdout)
    assert all(list(tree["unreadable"]) == ["single_shot/cam_a/person_0003.png"] for tree in found)
    assert "truncated" in next(iter(found[0]["unreadable"].values()))


def test_splits_of_a_set_that_was_trained_on_are_refused_and_bench_trains_one_a_split(pooled, tmp_path):
    _, places = pooled
    data = f"viper:{places['viper']}?splits=2"
    recipe = load_recipe(None, [*SMALL, "sampler.persons=2", f"data.train={data}", f"data.test={data}"])
    figures = run_grid([Cell("BoT", recipe)], [0], out=tmp_path)
    assert len(figures) == 2 and {p.name for p in (tmp_path / "bot/0").iterdir()} == {"split0", "split1"}
    (average,) = summary(figures).values()
    assert average.runs == 2 and average.means["rank1"] == pytest.approx(np.mean([f.rank1 for f in figures]))
    with pytest.raises(ProtocolError, match="whose people the other splits test"):
        evaluate_model(load_model(tmp_path / "bot/0/split0"), [source(data)])
    # One split that is not its own has its training people too; its own has not.
    with pytest.raises(ProtocolError, match="whose people the other splits test"):
        evaluate_model(load_model(tmp_path / "bot/0/split1"), [source(f"viper:{places['viper']}")])
    assert evaluate_model(load_model(tmp_path / "bot/0/split1"), [source(f"viper:{places['viper']}?split=1")])
    wrong = load_recipe(None, [f"data.train={data},prid:{places['prid']}?splits=3", f"data.test={data}"])
    with pytest.raises(UnveilError, match="different numbers of splits: 2, 3"):
        run_grid([Cell("a", wrong)], [0], out=tmp_path / "b")
