import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from command_line import run
from unveil.atomic_io import alone_in
from unveil.errors import RecipeError, UnveilError
from unveil.experiments.ablation import as_markdown, cells_of, find_table, tables
from unveil.experiments.grid import Cell, ResultRow, run_grid, summary
from unveil.methods import METHODS, method_settings, training_settings
from unveil.methods.tables.table import Row, Table
from unveil.models.checkpoint import NAME, load_model, save_model
from unveil.recipe import load_recipe
from unveil.training.loop import train
from unveil.training.metrics import read_metrics

SMALL = [
    "backbone.name=osnet_x0_25",
    "backbone.init=random",
    "input.height=64",
    "input.width=32",
    "train.epochs=1",
    "sampler.persons=4",
]


def recipe(manifest, *more):
    return load_recipe(None, [*SMALL, f"data.train=manifest:{manifest}", f"data.test=manifest:{manifest}", *more])


def figure(label="a", seed=0, dataset="d", rank1=50.0, mean_ap=40.0, start="random weights"):
    return ResultRow(
        label, "bot", "resnet18", start, seed, 1, dataset, "market#1", rank1, 60.0, 70.0, mean_ap, 30.0, 10, "cpu"
    )  # fmt: skip


def test_a_grid_runs_every_cell_with_every_seed_and_never_twice(manifest, tmp_path, monkeypatch):
    cells = [Cell("BoT", recipe(manifest)), Cell("soft", recipe(manifest, "method.margin=0"))]
    figures = run_grid(cells, range(2), out=tmp_path)
    assert [(f.label, f.seed) for f in figures if f.protocol.startswith("market")] == [
        ("BoT", 0), ("soft", 0), ("BoT", 1), ("soft", 1),
    ]  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert len(rows) == len(figures) and rows[0]["device"] == "cpu"

    def never(*_, **__):
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr("unveil.experiments.grid.train", never)
    assert run_grid(cells, range(2), out=tmp_path) == figures


def test_rows_that_differ_at_test_alone_share_one_training(manifest, tmp_path, monkeypatch):
    settings = ("method.name=ocnet", "method.dim=16")
    cells = [Cell(f"alpha={a}", recipe(manifest, *settings, f"method.alpha={a}")) for a in (1.0, 0.0, 4.0)]
    cells.append(Cell("parts=3", recipe(manifest, *settings, "method.n_parts=3")))
    trainings = []
    monkeypatch.setattr("unveil.experiments.grid.train", lambda *a, **k: trainings.append(a[1]) or train(*a, **k))
    figures = run_grid(cells, [0], out=tmp_path)
    assert [folder.parent.name for folder in trainings] == ["alpha=1.0", "parts=3"]
    market = {f.label: f for f in figures if f.protocol.startswith("market")}
    for alpha in ("alpha=0.0", "alpha=4.0"):
        # As good as a training of its own: the very same figures.
        alone = next(cell for cell in cells if cell.label == alpha)
        again = [f for f in run_grid([alone], [0], out=tmp_path / "alone") if f.protocol.startswith("market")]
        assert again == [market[alpha]]
        assert load_model(tmp_path / alpha / "0").method.settings.alpha == float(alpha[6:])
    trainings.clear()
    assert run_grid(cells, [0], out=tmp_path) == figures and trainings == []


@pytest.mark.parametrize(
    ("method", "table", "trainings"), [("oc4", "lambda", 1), ("pab", "fig6", 3), ("ssgr", "beta", 1), ("oc4", "k", 5)]
)
def test_sweeps_of_test_settings_train_once(method, table, trainings):
    cells = cells_of(find_table(method, table), load_recipe(None, [f"method.name={method}"]))
    found = {json.dumps(training_settings(method, cell.recipe.method.settings)) for cell in cells}
    assert len(found) == trainings


def test_figures_of_other_data_are_never_taken_for_these(manifest, tmp_path):
    rows = list(csv.DictReader(manifest.open()))
    own = manifest.parent / "changed.csv"

    def write(kept):
        with own.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(kept)

    write(rows)
    cells = [Cell("BoT", recipe(own))]
    run_grid(cells, [0], out=tmp_path)
    write([row for row in rows if row["path"] != "images/p07_c0_0.png"])
    with pytest.raises(UnveilError, match="other data"):
        run_grid(cells, [0], out=tmp_path)


@pytest.fixture
def alike(manifest, tmp_path):
    """Two sets of one name and with the same labels; all test crops of the second are negatives of the first's."""
    found = [shutil.copytree(manifest.parent, tmp_path / place / "crops") for place in ("plain", "occluded")]
    for path in (found[1] / "images").iterdir():
        change(path)
    return found


def change(image: Path):
    ImageOps.invert(Image.open(image).convert("RGB")).save(image)


def test_test_sets_of_one_name_are_told_apart_everywhere(manifest, alike, tmp_path):
    tests = ",".join(f"manifest:{root}" for root in alike)
    cells = [Cell("BoT", recipe(manifest, f"data.test={tests}", "data.protocols=market"))]
    figures = run_grid(cells, range(2), out=tmp_path / "out")
    names = ["crops (plain/crops)", "crops (occluded/crops)"]
    assert [f.dataset for f in figures] == names * 2
    assert [average.runs for average in summary(figures).values()] == [2, 2]
    shown = as_markdown(Table("", "", (), (Row("BoT"),)), figures)
    assert shown.startswith(f"| row | {names[0]}, market | {names[1]}, market |")
    model = tmp_path / "out/bot/0"
    logged = {key for record in read_metrics(model / "metrics.jsonl") for key in record if key.endswith("mAP")}
    assert logged == {f"{name}/market/mAP" for name in names}
    said = run("evaluate", model, *tests.split(","), "-p", "market").stdout
    assert all(said.count(f"{name}@") == 1 for name in names)


def test_figures_of_other_pixels_under_the_same_labels_are_never_taken_for_these(manifest, alike, tmp_path):
    cells = [Cell("BoT", recipe(manifest, f"data.test=manifest:{alike[0]}"))]
    run_grid(cells, [0], out=tmp_path / "out")
    change(alike[0] / "images/p09_c1_2.png")
    with pytest.raises(UnveilError, match="other data"):
        run_grid(cells, [0], out=tmp_path / "out")
    change(alike[0] / "images/p09_c1_2.png")
    change(alike[0] / "images/p01_c1_2.png")  # to train on, which this set is not used for
    run_grid(cells, [0], out=tmp_path / "out")


def test_figures_that_do_not_tell_what_they_were_measured_on_are_measured_again(manifest, alike, tmp_path, monkeypatch):
    cells = [Cell("BoT", recipe(manifest, f"data.test=[manifest:{alike[0]},manifest:{alike[1]}]"))]
    figures = run_grid(cells, [0], out=tmp_path / "out")
    model = load_model(tmp_path / "out/bot/0")
    kept = [{k: v for k, v in tree.items() if k != "content"} | {"dataset": "crops"} for tree in model.card.figures]
    path = tmp_path / "out/bot/0" / NAME
    save_model(path, model.method, card=model.card.model_copy(update={"figures": tuple(kept)}))
    monkeypatch.setattr("unveil.experiments.grid.train", None)
    assert run_grid(cells, [0], out=tmp_path / "out") == figures
    assert load_model(path).card.figures == model.card.figures


def test_a_second_grid_in_a_folder_is_refused(manifest, tmp_path):
    with alone_in(tmp_path), pytest.raises(UnveilError, match="another process writes into"):
        run_grid([Cell("a", recipe(manifest))], [0], out=tmp_path)


def test_wrong_cells_are_known_before_anything_runs(manifest, tmp_path):
    with pytest.raises(UnveilError, match="at least one recipe"):
        run_grid([], [0], out=tmp_path)
    with pytest.raises(UnveilError, match="labels of a grid must differ"):
        run_grid([Cell("a", recipe(manifest)), Cell("A", recipe(manifest))], [0], out=tmp_path)
    with pytest.raises(RecipeError, match="did you mean 'margin'"):
        run_grid([Cell("a", recipe(manifest)), Cell("b", recipe(manifest, "method.margni=1"))], [0], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_seeds_are_averaged_and_datasets_are_not():
    found = summary([figure(rank1=40), figure(rank1=60, seed=1), figure(dataset="e", rank1=90)])
    both = found["a", "d", "market#1"]
    assert (both.means["rank1"], both.std["rank1"], both.runs) == pytest.approx((50, 14.142, 2), abs=1e-3)
    assert found["a", "e", "market#1"].text() == "90.0 / 40.0"


def test_a_table_shows_ours_and_the_papers_apart():
    table = Table("Table I", "Market-1501", ("R-1",), (Row("a", {}, (95.4,)), Row("b", {})), "a note")
    lines = as_markdown(table, [figure(), figure(rank1=60, seed=1)]).splitlines()
    assert lines[0] == "| row | d, market | paper: R-1 |"
    assert lines[2] == "| a | 55.0 ± 7.1 / 40.0 ± 0.0 | *95.4* |"
    assert lines[3] == "| b |  |  |"
    assert "Table I, on Market-1501" in lines[5] and lines[6] == "a note"
    assert "paper" not in as_markdown(Table("", "", (), (Row("a"),)), [figure()]).lower()


def test_a_table_says_what_its_rows_started_from():
    table = Table("", "", (), (Row("a"), Row("b")))
    same = as_markdown(table, [figure(), figure("b")])
    assert same.splitlines()[0] == "| row | d, market |"
    assert "Started from random weights." in same
    lines = as_markdown(table, [figure(), figure("b", start="ImageNet, w.pth (MIT)")]).splitlines()
    assert lines[0] == "| row | start | d, market |"
    assert lines[3] == "| b | ImageNet, w.pth (MIT) | 50.0 / 40.0 |"


def test_a_table_shows_rank_5_and_10_where_the_paper_prints_them():
    lines = as_markdown(find_table("cre", "table3"), [figure("+ CRE")]).splitlines()
    assert lines[0] == "| row | d, market | paper: R-1 | paper: R-5 | paper: R-10 |"
    assert lines[4] == "| + CRE | 50.0 / 60.0 / 70.0 / 40.0 | *23.0* | *33.6* | *40.0* |"
    assert "Rank-1 / Rank-5 / Rank-10 / mAP in percent, one run" in lines[6]


@pytest.mark.parametrize("method", [m for m in METHODS if tables(m)])
def test_rows_of_a_table_train_alike(method):
    """No row trains longer, faster or from elsewhere than its neighbours."""
    allowed = ("backbone.name=", "sampler.persons=", "data.max_per_person=", "augment.erase=")
    for table in tables(method).values():
        assert all(change.startswith(allowed) for row in table.rows for change in row.overrides)


@pytest.mark.parametrize("method", [m for m in METHODS if tables(m)])
def test_every_row_of_every_paper_is_a_valid_cell(method):
    for name, table in tables(method).items():
        assert find_table(method, name) is table
        for cell in cells_of(table, load_recipe(None, [f"method.name={method}"])):
            assert method_settings(cell.recipe.method.name, cell.recipe.method.settings)


def test_an_unknown_table_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'table3'"):
        find_table("pab", "tabel3")
    with pytest.raises(RecipeError, match="no ablation table"):
        find_table("bot", None)
