"""What stands beside the code: citation, pins, templates and decision records agree with what they speak of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import unveil
from unveil.cli.doctor import EXTRAS

ROOT = Path(__file__).parents[1]
DECISIONS = ROOT / "docs/decisions"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def test_the_citation_names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == unveil.__version__
    assert citation["license"] == PROJECT["license"]
    assert set(citation["keywords"]) >= set(PROJECT["keywords"])
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_hooks_run_the_pinned_versions():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    wanted = [pin for repo in config["repos"] for hook in repo["hooks"] for pin in hook["additional_dependencies"]]
    assert len(wanted) > 5
    for pin in wanted:
        name, version = pin.split("==")
        assert PINS[name] == version, f"{pin} in .pre-commit-config.yaml, {PINS[name]} in constraints.txt"


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem)
def test_issue_forms_have_what_forms_need(form):
    content = yaml.safe_load(form.read_text())
    assert content["name"] and content["description"]
    ids = [field["id"] for field in content["body"] if field["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    assert all(field["attributes"].get("label") for field in content["body"] if field["type"] != "markdown")
    assert any(field.get("validations", {}).get("required") for field in content["body"])


def test_every_decision_is_one_record_in_the_index():
    records = {}
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        text = path.read_text()
        number, title = re.match(r"# (\d+)\. (.+)\n", text).groups()
        assert path.name.startswith(f"{int(number):04d}-"), path.name
        assert "\n## Chosen\n" in text and "\n## Rejected\n" in text, path.name
        records[path.name] = f"{number}. {title}"
    numbers = [name[:4] for name in records]
    assert len(set(numbers)) == len(numbers), "two records have one number"
    listed = re.findall(r"^- \[(.+)\]\((\d{4}-[\w-]+\.md)\)$", (DECISIONS / "index.md").read_text(), re.MULTILINE)
    assert {name: title for title, name in listed} == records
    assert len(listed) == len(records)


def test_readme_and_doctor_name_every_extra_that_users_can_have():
    extras = set(PROJECT["optional-dependencies"]) - {"test", "lint", "docs", "benchmarks"}
    readme = (ROOT / "README.md").read_text().split("| extra |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `(\w+)`", readme, re.MULTILINE)) == extras
    assert set(EXTRAS) == extras


def test_badge_and_page_of_the_coverage_say_what_the_report_says(tmp_path):
    covered = {
        "a/src/unveil/nn/neck.py": (9, 10),
        "src/unveil/nn/attention/cbam.py": (21, 30),
        "src/unveil/recipe.py": (10, 10),
    }
    files = {
        name: {"summary": {"covered_lines": hit, "num_statements": total}} for name, (hit, total) in covered.items()
    }
    (tmp_path / "report.json").write_text(json.dumps({"files": files}))
    (tmp_path / "docs/pictures").mkdir(parents=True)
    command = [sys.executable, ROOT / "scripts/coverage_page.py", tmp_path / "report.json", tmp_path]
    subprocess.run(command, check=True)
    page = (tmp_path / "docs/coverage.md").read_text()
    assert "| nn | 40 | 75.0 % |\n| unveil | 10 | 100.0 % |\n| all | 50 | 80.0 % |\n" in page
    badge = (tmp_path / "docs/pictures/coverage.svg").read_text()
    assert ">80 %<" in badge and "#b58900" in badge


def test_no_test_module_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        found = re.findall(r"^\s*(?:from|import) (test_\w+)", path.read_text(), re.MULTILINE)
        assert not found, f"{path.relative_to(ROOT)} imports {found[0]}: what both need belongs in a module of its own"
