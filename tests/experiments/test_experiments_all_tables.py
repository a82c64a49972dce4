"""All ablation tables in one resumable run, their CSV, and the page that is written from it."""

import csv
import dataclasses
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unveil.cli import app
from unveil.cli.models.recipes import find_recipe
from unveil.errors import DataError, InterruptedRunError, RecipeError
from unveil.experiments import all_tables
from unveil.experiments.ablation import tables
from unveil.experiments.ablation_page import as_table, places, render
from unveil.experiments.all_tables import Line, read_lines, run_tables, write_lines
from unveil.methods import METHODS
from unveil.methods.tables.table import Row, Table
from unveil.recipe import load_recipe
from unveil.training.loop import train

ROOT = Path(__file__).parents[2]
SMALL = [
    "backbone={name: osnet_x0_25, init: random}",
    "input.height=32",
    "input.width=32",
    "train.epochs=1",
    "sampler.persons=4",
]
TABLES = {
    "one": Table(
        "One", "nothing", ("R-1", "mAP"), (Row("half", {"margin": 0.1}, (40.0, 30.0)), Row("all", {}, (50.0, 40.0)))
    ),
    "two": Table("Two", "nothing", (), (Row("all again", {}),)),
}


@pytest.fixture
def two_tables(monkeypatch):
    monkeypatch.setattr(all_tables, "tables", lambda method: TABLES)
    trainings = []
    monkeypatch.setattr("unveil.experiments.grid.train", lambda *a, **k: trainings.append(a[1]) or train(*a, **k))
    return trainings


def recipe(manifest, *more):
    return load_recipe(None, [*SMALL, f"data.train=manifest:{manifest}", f"data.test=manifest:{manifest}", *more])


def line(row="all", seed=0, mean_ap=40.0, start="imagenet", protocol="world-occ", table="table3"):
    figures = (50.0, 60.0, 70.0, mean_ap, 30.0, 10)
    return Line("pab", table, row, start, "resnet18", seed, 1, "world-small", f"{protocol}#1", *figures, "cpu")


def test_rows_of_all_tables_are_trained_once_each_and_seed_after_seed(manifest, tmp_path, two_tables):
    lines = run_tables({"bot": recipe(manifest)}, 2, out=tmp_path)
    folders = [folder.relative_to(tmp_path / "bot").as_posix() for folder in two_tables]
    assert folders == ["one_half/0", "one_all/0", "one_half/1", "one_all/1"]
    found = {(x.table, x.row, x.seed): x.mAP for x in lines if x.protocol.startswith("market")}
    assert len(found) == 6 and found["two", "all again", 1] == found["one", "all", 1]
    assert not list(tmp_path.rglob("resume.pt")) and not list(tmp_path.rglob("best.*"))
    assert len(list(tmp_path.rglob("model.safetensors"))) == 6
    assert lines == read_lines(tmp_path / "ablations.csv") and lines[0].start == "random weights"
    two_tables.clear()
    assert run_tables({"bot": recipe(manifest)}, 2, out=tmp_path) == lines and two_tables == []


def test_a_row_that_no_batch_can_serve_is_refused_before_the_first_is_trained(
    manifest, tmp_path, two_tables, monkeypatch
):
    many = Table("Many", "nothing", (), (Row("many", {}, (), ("sampler.persons=99",)),))
    monkeypatch.setattr(all_tables, "tables", lambda method: {**TABLES, "three": many})
    with pytest.raises(DataError, match=r"bot, three: many: .*sampler\.persons=\d+ or less"):
        run_tables({"bot": recipe(manifest)}, 1, out=tmp_path)
    assert two_tables == []


def test_a_bound_in_minutes_stops_it_and_what_is_finished_is_kept(manifest, tmp_path, two_tables):
    path = tmp_path / "figures.csv"
    run_tables({"bot": recipe(manifest)}, 1, out=tmp_path / "runs", table=path)
    whole = read_lines(path)
    with pytest.raises(InterruptedRunError):
        run_tables({"bot": recipe(manifest, "train.epochs=3")}, 1, out=tmp_path / "runs3", table=path, minutes=0)
    assert read_lines(path) == whole  # nothing new is finished, and the other series is still there
    calls = 0
    while calls < 30:
        calls += 1
        try:
            run_tables({"bot": recipe(manifest, "train.epochs=3")}, 1, out=tmp_path / "runs3", table=path, minutes=0)
            break
        except InterruptedRunError:
            continue
    assert 1 < calls < 30
    series = [x.series for x in read_lines(path)]
    assert len(series) == 2 * len(whole) and set(series) == {whole[0].series, ("random weights", "osnet_x0_25", 3)}


def test_lines_come_back_from_their_csv_and_another_csv_is_refused(tmp_path):
    lines = [line(), dataclasses.replace(line(seed=1), rank5=math.nan)]
    write_lines(tmp_path / "a.csv", lines)
    back = read_lines(tmp_path / "a.csv")
    assert back[0] == lines[0] and math.isnan(back[1].rank5) and read_lines(tmp_path / "none.csv") == []
    (tmp_path / "b.csv").write_text("label,rank1\na,1\n")
    with pytest.raises(DataError, match=r"b.csv: expected the columns method, table, row"):
        read_lines(tmp_path / "b.csv")


def test_a_table_shows_what_the_paper_and_what_we_found():
    lines = [line("all", seed, 40.0 + seed / 10) for seed in range(3)]
    lines += [line("without part triplet", seed, 35.0 + seed / 10) for seed in range(3)]
    lines += [line("without fine-grained focuser", seed, 40.0 + 3 * seed) for seed in range(3)]
    lines += [line("without pixel-level predictor", seed, 44.0) for seed in range(3)]
    table = as_table("pab", "table3", lines=lines).splitlines()
    rows = dict(row[2:].split(" | ", 1) for row in table if row.startswith("| "))
    assert rows["row"] == "occluded | paper: R-1 / mAP | paper: Δ mAP | ours: Δ mAP | direction |"
    assert rows["without part triplet"] == "50.0 / 35.1 | 67.1 / 57.1 | -6.4 | -5.0 | the same |"
    assert rows["without pixel-level predictor"].endswith("-1.8 | +3.9 | the opposite |")
    assert rows["without fine-grained focuser"].endswith("-5.2 | +2.9 | not clear |")
    assert rows["without part attention block"] == " | 65.4 / 56.2 | -7.3 |  |  |"
    assert rows["all"] == "50.0 / 40.1 | 72.6 / 63.5 |  |  |  |"
    few = as_table("pab", "table3", lines=[x for x in lines if x.seed == 0])
    assert "-5.0 |  |" in few and "the same" not in few  # one seed claims no direction


def test_the_whole_method_is_the_row_whose_settings_are_the_defaults_written_out_or_not():
    rows = [line(row.label, table="table5") for row in tables("ssgr")["table5"].rows]
    table = as_table("ssgr", "table5", lines=[dataclasses.replace(row, method="ssgr") for row in rows])
    first = next(row for row in table.splitlines() if row.startswith("| baseline |"))
    assert first.endswith(" | -5.3 | +0.0 |  |")  # 51.9 against 57.2 in the paper


def test_the_newest_whole_series_is_shown_and_named():
    rows = [row.label for row in tables("pab")["table3"].rows]
    old = [line(row, start="unveil:resnet18_x0_5", mean_ap=11.0) for row in rows]
    assert "from unveil:resnet18_x0_5, 1 epoch, seeds: 1" in as_table("pab", "table3", lines=[*old, line()])
    new = as_table("pab", "table3", lines=[*old, *(line(row, mean_ap=22.0) for row in rows)])
    assert "resnet18 from imagenet" in new and "11.0" not in new
    told = as_table("pab", "table3", lines=[line(row, start="unveil:dual (Apache-2.0; at length)") for row in rows])
    assert "resnet18 from unveil:dual, 1 epoch" in told  # the CSV says the rest
    assert "Not measured yet" in as_table("pab", "fig5", lines=old)


def test_a_page_keeps_its_prose_and_gets_its_tables(tmp_path):
    page = "# A\n<!-- ablation pab table3 -->\nold\n<!-- end -->\nprose\n"
    found = render(page, [line()])
    assert found.startswith("# A\n<!-- ablation pab table3 -->\n| row |") and found.endswith("<!-- end -->\nprose\n")
    assert "old" not in found and render(found, [line()]) == found
    with pytest.raises(DataError, match="no table to write"):
        render("# A\n", [])
    with pytest.raises(RecipeError, match="did you mean 'table3'"):
        render(page.replace("table3", "tabel3"), [])


def test_the_page_of_the_docs_has_every_table_as_the_csv_says():
    page = (ROOT / "docs/ablations.md").read_text(encoding="utf-8")
    assert sorted(places(page)) == sorted((method, name) for method in METHODS for name in tables(method))
    assert render(page, read_lines(ROOT / "benchmarks/results/ablations.csv")) == page


def test_the_command_runs_the_tables_of_a_method_and_writes_the_page(manifest, tmp_path, two_tables):
    page = tmp_path / "page.md"
    page.write_text("<!-- ablation pab table3 -->\n<!-- end -->\n")
    arguments = ["-q", "ablate-all", "--method", "pcb", "--data", f"manifest:{manifest}", "--seeds", "1", *SMALL,
                 "--out", str(tmp_path / "runs"), "--page", str(page)]  # fmt: skip
    with pytest.raises(RecipeError, match="has no ablation table"):
        raise CliRunner().invoke(app, arguments).exception
    arguments[arguments.index("pcb")] = "ssgr"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "runs/ablations.csv").open()))
    assert {row["method"] for row in rows} == {"ssgr"} and {row["table"] for row in rows} == {"one", "two"}
    assert "| row |" in page.read_text()


def test_a_row_with_another_backbone_is_left_out_where_the_start_fits_one_alone(caplog):
    changes = ["backbone={name: efficientnet_lite0, init: unveil:dual}"]
    left, whole = (
        all_tables._cells("ocnet", load_recipe(find_recipe("ocnet-world"), more))
        for more in (changes, ["backbone.init=imagenet"])
    )
    gone = {cell.label for cell in whole} - {cell.label for cell in left}
    assert len(gone) == 1 and gone.pop().startswith("ibn") and "OCNet + ibn: left out" in caplog.text
