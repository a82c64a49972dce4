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
