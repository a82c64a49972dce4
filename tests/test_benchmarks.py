"""What the benchmarks share: how their CSVs are written, and what is measured in short."""

from __future__ import annotations

import csv
import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
ORIGIN = ["machine", "load", "versions", "commit"]


@pytest.fixture
def csv_rows(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("csv_rows")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def test_rows_say_on_what_they_were_measured(csv_rows, tmp_path):
    csv_rows.write_rows(tmp_path / "new" / "a.csv", [{"what": "x, y", "value": 1} | csv_rows.measured_on()])
    (row,) = read(tmp_path / "new" / "a.csv")
    assert list(row) == ["what", "value", *ORIGIN] and (row["what"], row["value"]) == ("x, y", "1")
    assert " cores " in row["machine"] and float(row["load"]) >= 0
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    assert row["commit"].rstrip("+") == head.strip()


def test_versions_name_the_engines_that_are_imported(csv_rows, monkeypatch):
    import torch

    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    monkeypatch.setattr(csv_rows, "version", lambda name: torch.__version__ if name == "torch" else "7.0")
    said = csv_rows.measured_on()["versions"]
    python = ".".join(map(str, sys.version_info[:3]))
    assert said == f"python {python}, numpy 7.0, torch {torch.__version__}, onnxruntime 7.0"


def test_the_commit_is_marked_where_the_tree_differs_in_more_than_results_and_empty_outside_git(tmp_path):
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    def said() -> str:
        code = "import csv_rows; print(csv_rows.measured_on()['commit'])"
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, check=True, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        )  # fmt: skip
        return found.stdout.strip()

    folder = tmp_path / "benchmarks"
    (folder / "results").mkdir(parents=True)
    (folder / "csv_rows.py").write_text((ROOT / "benchmarks/csv_rows.py").read_text())
    (folder / "results" / "a.csv").write_text("what\n1\n")
    assert said() == ""
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    head = git("rev-parse", "--short", "HEAD").strip()
    (folder / "results" / "a.csv").write_text("what\n2\n")
    assert said() == head
    with (folder / "csv_rows.py").open("a") as f:
        f.write("# changed\n")
    assert said() == f"{head}+"


def test_new_rows_replace_those_of_their_key_and_the_rest_stays(csv_rows, tmp_path):
    path, origin = tmp_path / "a.csv", csv_rows.measured_on()
    # As benchmarks wrote them before: columns of their own, and nothing of where.
    path.write_text('model,rank1,device\na,1,"x, y"\nb,2,z\nb,3,z\n')
    csv_rows.write_rows(path, [{"model": "b", "rank1": 4} | origin, {"model": "c", "rank1": 5} | origin], key=["model"])
    rows = read(path)
    assert list(rows[0]) == ["model", "rank1", "device", *ORIGIN]
    assert [(r["model"], r["rank1"], r["device"]) for r in rows] == [("a", "1", "x, y"), ("b", "4", ""), ("c", "5", "")]
    assert rows[0]["machine"] == "" and rows[1]["machine"] == origin["machine"]
    csv_rows.write_rows(path, [{"model": "a", "seconds": 0.5} | origin], key=["model", "seconds"])
    assert len(read(path)) == 4, "a row without a column of the key agrees with none"
    csv_rows.write_rows(path, [{"model": "d"} | origin])
    assert [r["model"] for r in read(path)] == ["d"]


def test_rows_that_cannot_be_written_leave_the_file_as_it_was(csv_rows, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("what\n1\n")
    with pytest.raises(ValueError, match="found none"):
        csv_rows.write_rows(path, [])
    with pytest.raises(ValueError, match="without load, versions"):
        csv_rows.write_rows(path, [{"what": 2, "machine": "x", "commit": ""}])
    with pytest.raises(KeyError, match="model"):
        csv_rows.write_rows(path, [{"what": 2} | csv_rows.measured_on()], key=["model"])
    assert path.read_text() == "what\n1\n" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_csv_rows_alone_writes_csv_and_says_where(script):
    text = script.read_text()
    if script.stem != "csv_rows":
        assert "csv.writer" not in text and "csv.DictWriter" not in text
        assert "getloadavg" not in text and "cpuinfo" not in text and "rev-parse" not in text
        assert ("write_rows(" in text) == ("measured_on(" in text)


def test_an_attack_sends_nothing_after_its_end(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    attacks = importlib.import_module("attacks")
    target = attacks.Target("http://127.0.0.1:9", attacks.psutil.Process(), {})
    target.end_time = 0.0
    assert target.ask("GET", "/healthz") is None and target.answers == {"not sent": 1}
    with pytest.raises(AttributeError):
        target.deadline = 0.0


@pytest.mark.parametrize("name", ["adaptation", "parser_blanking"])
def test_rows_tell_all_of_their_key_and_none_has_that_of_another(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module(name)
    rows = read(ROOT / f"benchmarks/results/{name}.csv")
    keys = [tuple(row[part] for part in script.KEY) for row in rows]
    assert len(set(keys)) == len(keys) and all(all(key) for key in keys)
    assert set(script.KEY) >= {
        "adaptation": {"data", "crops", "grouping", "pairs"}, "parser_blanking": {"people", "queries"}
    }[name]  # fmt: skip


def test_what_was_adapted_otherwise_is_a_row_of_its_own(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = importlib.import_module("adaptation")

    def task(model, data, split, crops, cache):
        return script.Task(data, split, [], {}, lambda one: {"viper": (float(crops), 0.0)})

    def way(model, task, settings, cache):
        return script.rows_of(task, "all", task.measure(model), int(task.measure(model)["viper"][0]), 1.0)

    card = SimpleNamespace(fingerprint="f", started_from="random weights")
    monkeypatch.setattr(script, "load_model", lambda path: SimpleNamespace(card=card))
    monkeypatch.setattr(script, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(script, "show_progress", lambda on: None)
    monkeypatch.setattr(script, "TESTS", {"viper": task})
    monkeypatch.setattr(script, "WAYS", {"stages": way})
    others = ([], ["--pairs", "0.2"], ["--grouping", "jaccard"], ["--crops", "9"], [], ["--pairs", "0.4"])
    for data, more in (*(("a", more) for more in others), ("b", [])):
        words = ["m", data, "--splits", "1", "--ways", "stages", "--out", str(tmp_path / "a.csv"), *more]
        monkeypatch.setattr(sys, "argv", ["adaptation.py", *words])
        script.main()
    rows = read(tmp_path / "a.csv")
    assert [(r["data"], r["grouping"], r["pairs"], r["crops"]) for r in rows] == [
        ("a", "surest", "0.2", "1200"), ("a", "jaccard", "0.4", "1200"), ("a", "surest", "0.4", "9"),
        ("a", "surest", "0.4", "1200"), ("b", "surest", "0.4", "1200"),
    ]  # fmt: skip


@pytest.fixture
def benchmarks_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("benchmarks_page")


def test_the_page_is_drawn_from_the_csvs_that_are_there(tmp_path):
    drawn = tmp_path / "benchmarks.md"
    subprocess.run([sys.executable, ROOT / "scripts/benchmarks_page.py", drawn], check=True)
    committed = (ROOT / "docs/benchmarks.md").read_text()
    assert drawn.read_text() == committed, "write it again: python scripts/benchmarks_page.py"


def test_every_benchmark_and_every_csv_is_on_the_page(benchmarks_page):
    scripts = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if "ArgumentParser(" in p.read_text()}
    assert benchmarks_page.BENCHMARKS.keys() == scripts
    shown = {table.csv for tables in benchmarks_page.BENCHMARKS.values() for table in tables}
    csvs = sorted(p.stem for p in (ROOT / "benchmarks/results").glob("*.csv"))
    assert sorted(shown | benchmarks_page.ELSEWHERE.keys()) == csvs


def test_the_page_tells_old_rows_beside_new_ones_and_means_of_what_is_shown(benchmarks_page):
    origin = {"machine": "4 cores A", "versions": "python 3", "commit": "abc"}
    rows = [
        {"way": "a", "split": "0", "rank1": "1.0", "load": "3.0"},
        {"way": "a", "split": "1", "rank1": "2.0", "load": "12.5", **origin},
        {"way": "b", "split": "0", "rank1": "4.0", "load": "", "device": "GPU"},
    ]
    table = benchmarks_page.Table("x", ("way", "rank1"), {"way": ["a"]}, means=("rank1",))
    kept = benchmarks_page.matching("x", rows, table.where, table.columns)
    (mean,) = benchmarks_page.averaged(table, kept)
    assert (mean["way"], mean["rank1"], mean["mean of"]) == ("a", "1.5", "2")
    silent = "not recorded in 1 of 2 rows."
    assert benchmarks_page.origin(kept) == (
        f"Machine: 4 cores A; {silent} Load: 3.0 to 12.5. Versions: python 3; {silent} Commit: abc; {silent}"
    )
    assert benchmarks_page.origin(rows[2:]) == "Machine: GPU. Not recorded: load, versions, commit."
    networks = [{"start": start, **origin, "load": "1.0"} for start in ("ImageNet", "", "ImageNet")]
    assert benchmarks_page.origin(networks).startswith("Start: ImageNet; not recorded in 1 of 3 rows. Machine: 4 cores")
    with pytest.raises(ValueError, match=r"x\.csv has no column mAP"):
        benchmarks_page.matching("x", rows, {}, ["mAP"])
    with pytest.raises(ValueError, match=r"x\.csv has no row whose way is c"):
        benchmarks_page.matching("x", rows, {"way": ["a", "c"]})


@pytest.mark.parametrize("name", ["real_people", "people_curve", "clothes_mode", "vector_shares", "adaptation"])
def test_figures_of_networks_say_what_these_started_from(name):
    text = (ROOT / f"benchmarks/{name}.py").read_text()
    assert '"start": model.summary.start' in text or '"start": model.card.started_from' in text
    rows = read(ROOT / f"benchmarks/results/{name}.csv")
    started = {row.get("fingerprint") or row["model"]: row["start"] for row in rows}
    known = {row["fingerprint"]: row["start"] for row in read(ROOT / "benchmarks/results/real_people.csv")}
    assert all(start == known.get(network, start) for network, start in started.items())


@pytest.fixture
def results_page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("results_page")


@pytest.fixture
def csvs(tmp_path) -> Path:
    """A copy of the CSVs, to be changed."""
    return Path(shutil.copytree(ROOT / "benchmarks/results", tmp_path / "results"))


def change(path: Path, old: str, new: str) -> None:
    """Change the only place of a file that has some text."""
    text = path.read_text()
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new))


def test_the_tables_of_the_results_are_what_the_csvs_say(results_page):
    text = results_page.PAGE.read_text()
    assert results_page.rewritten(text) == (text, []), "write them again: python scripts/results_page.py"


def test_a_changed_figure_is_noticed_in_every_table_that_shows_it(results_page, csvs):
    page = results_page.PAGE.read_text()
    path = csvs / "real_people.csv"
    ours = rf"(?m)^(unveil:dual,{results_page.DUAL},.*,viper,viper,\d+,)[\d.]+,[\d.]+,[\d.]+,"
    path.write_text(re.sub(ours, r"\g<1>99.5,88.8,7.7,", path.read_text()))
    text, differing = results_page.rewritten(page, csvs)
    assert differing == ["real people", "aims"]
    assert "| `unveil:dual` | **99.5 ± 7.7 / 88.8** |" in text
    assert "| VIPeR | 99.5 | 28 | 41.8: reached |" in text
    by_hand = re.findall(r"(?m)^\| (?:after the first|colour histogram of six stripes) \|.*", page)
    assert len(by_hand) == 2 and all(line in text for line in by_hand)
    assert results_page.rewritten(text, csvs) == (text, [])


def test_the_command_names_tables_that_differ_and_writes_them(tmp_path, results_page):
    page, was = tmp_path / "results.md", results_page.PAGE.read_text()
    page.write_text(was)
    change(page, "| `unveil evaluate` | ", "| `unveil evaluate` | 9")
    edited = page.read_text()

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "scripts/results_page.py", *words, page]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    found = run("--check")
    assert found.returncode == 1 and found.stderr.startswith("not as the CSVs say: evaluator;")
    assert page.read_text() == edited
    found = run()
    assert (found.returncode, found.stdout) == (0, "written: evaluator\n")
    assert page.read_text() == was and list(tmp_path.iterdir()) == [page]
    change(page, "<!-- table: evaluator -->", "<!-- table: evaluater -->")
    found = run()
    assert found.returncode == 1 and "the page has a table 'evaluater', expected one of real people, " in found.stderr
    assert "Traceback" not in found.stderr


def test_a_row_or_a_figure_that_a_csv_lacks_is_an_error_that_names_it(results_page, csvs):
    page, path = results_page.PAGE.read_text(), csvs / "real_people.csv"
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    ours = next(line for line in lines if f"{results_page.DUAL}," in line and ",sarc3d," in line)
    path.write_text(whole.replace(ours, ""))
    said = f"real_people.csv: expected one row whose fingerprint is {results_page.DUAL}, data is sarc3d; found 0"
    with pytest.raises(ValueError, match=re.escape(said)):
        results_page.rewritten(page, csvs)
    path.write_text(whole + ours)
    with pytest.raises(ValueError, match="data is sarc3d; found 2"):
        results_page.rewritten(page, csvs)
    path.write_text(whole.replace(results_page.SECOND_STEP, "0"))
    with pytest.raises(ValueError, match=rf"real_people\.csv has no row whose .* is {results_page.SECOND_STEP}"):
        results_page.rewritten(page, csvs)
    path.write_text(whole)
    speeds = csvs / "world_speed.csv"
    speeds.write_text(re.sub(r"(?m)^(warm loop,2,(?:[^,]*,){3})[^,]*", r"\1", speeds.read_text()))
    with pytest.raises(ValueError, match=r"world_speed\.csv has no crops_per_second for 'warm loop'"):
        results_page.rewritten(page, csvs)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<!-- table: aims -->", "<!-- table: goals -->", "has a table 'goals', expected one of real people, "),
        ("<!-- table: aims -->", "<!-- tables: aims -->", "the page has no table 'aims'"),
        ("\n<!-- end -->\n\nThe mode for changed", "\nThe mode for changed", "'rendered people' of the page has no"),
        ("| after the first |", "| after a first |", "the page has no row 'after the first', which no CSV has"),
    ],
)
def test_marks_that_are_wrong_are_one_error(results_page, old, new, said):
    page = results_page.PAGE.read_text()
    assert page.count(old) == 1
    with pytest.raises(ValueError, match=re.escape(said)):
        results_page.rewritten(page.replace(old, new))


def test_the_curve_takes_what_numbers_of_people_there_are_and_means_of_seeds(results_page, csvs):
    path = csvs / "people_curve.csv"
    head, *lines = path.read_text().splitlines(keepends=True)
    figures = "viper,viper,18.6,28.0,", "viper,viper,17.6,30.0,"
    seed0 = "".join(line for line in lines if line.startswith("1000,4,0,"))
    seed1 = seed0.replace("1000,4,0,", "1000,4,1,").replace(*figures)
    more, longer = seed0.replace("1000,4,0,", "3000,4,0,"), seed0.replace("1000,4,0,", "1000,8,0,")
    path.write_text(head + more + seed0 + seed1 + longer)
    text, differing = results_page.rewritten(results_page.PAGE.read_text(), csvs)
    assert differing == ["people curve"]
    seeds = "| 1,000 (2 seeds) | 18.1 ± 0.7 / 29.0 ± 1.4 | **64.0 ± 0.0 / 62.3 ± 0.0** |"
    assert f"{seeds} **59.4 ± 0.0 /" in text and "| 3,000 | **18.6 / 28.0** | **64.0 / 62.3** |" in text
    assert "| 500 |" not in text
    change(path, "1000,4,1,3dpes,", "1000,4,2,3dpes,")
    with pytest.raises(ValueError, match=r"people_curve\.csv: expected one row whose people is 1000, .*; found 0"):
        results_page.rewritten(text, csvs)


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts/bench.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_short_benchmarks_run_and_one_that_fails_is_named_while_others_go_on(tmp_path):
    (tmp_path / "evaluator.csv").mkdir()  # nothing can be written there
    found = bench("evaluator", "sharded_search", "--out", tmp_path)
    assert found.returncode == 1 and found.stderr.strip() == "failed: evaluator"
    failed, told, _ = found.stdout.splitlines()
    assert failed.startswith("evaluator ") and f"failed: exit code 1, see {tmp_path / 'evaluator.log'}" in failed
    assert "cannot write" in (tmp_path / "evaluator.log").read_text()
    rows = {(r["question"], r["shards"], r["setting"], r["what"]): r for r in read(tmp_path / "sharded_search.csv")}
    hedged, plain = (rows["tail", "64", setting, "p99 ms"] for setting in ("stalls, hedged", "stalls"))
    assert hedged["machine"] and hedged["versions"]
    ratio = float(plain["value"]) / float(hedged["value"])
    assert f"{float(hedged['value']):g}, {ratio:.2f} times as good as stalls ({float(plain['value']):g})" in told


def test_a_benchmark_that_runs_is_told_without_an_error(tmp_path):
    (tmp_path / "evaluator.csv").write_text("what\nunveil\n")  # of another time: replaced
    found = bench("evaluator", "--out", tmp_path)
    assert found.returncode == 0 and found.stderr == ""
    assert "unveil: " in found.stdout and "times as good as naive full sort" in found.stdout
    assert len(read(tmp_path / "evaluator.csv")) == 2


def test_an_unknown_benchmark_is_refused_with_those_there_are(tmp_path):
    found = bench("evaluater", "--out", tmp_path / "none")
    assert found.returncode == 2 and "evaluater is none of evaluator, " in found.stderr
    assert not (tmp_path / "none").exists()
