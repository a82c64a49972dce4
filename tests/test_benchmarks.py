"""What the benchmarks share: how their CSVs are written, and what is measured in short."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

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
    kept = benchmarks_page.chosen(table, rows)
    (mean,) = benchmarks_page.averaged(table, kept)
    assert (mean["way"], mean["rank1"], mean["mean of"]) == ("a", "1.5", "2")
    silent = "not recorded in 1 of 2 rows."
    assert benchmarks_page.origin(kept) == (
        f"Machine: 4 cores A; {silent} Load: 3.0 to 12.5. Versions: python 3; {silent} Commit: abc; {silent}"
    )
    assert benchmarks_page.origin(rows[2:]) == "Machine: GPU. Not recorded: load, versions, commit."
    with pytest.raises(ValueError, match=r"x\.csv has no column mAP"):
        benchmarks_page.chosen(benchmarks_page.Table("x", ("mAP",)), rows)
    with pytest.raises(ValueError, match=r"x\.csv has no row whose way is c"):
        benchmarks_page.chosen(benchmarks_page.Table("x", ("way",), {"way": ["a", "c"]}), rows)


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
