"""The architecture of docs/layers.yaml, held against the imports of every file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

import unveil
from unveil.cli.commands import COMMANDS, GROUPS

SOURCE = Path(unveil.__file__).parent
ROOT = Path(__file__).parents[1]
LAYERS = yaml.safe_load((ROOT / "docs" / "layers.yaml").read_text(encoding="utf-8"))
BASE = {name for name, _ in LAYERS[0]}
ORDER = {name: i for i, name in enumerate([name for layer in LAYERS for name, _ in layer] + ["__main__"])}
# Imports that wait until a model is opened: an exported one must run where PyTorch is not installed.
LAZY = {"inference/load.py"}
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES, MAX_MODULES = 300, 15
LONG_FILES = {"training/loop.py"}
FULL_FOLDERS = {"data/readers"}  # the readers are one file a benchmark


def package(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def imported_packages(path: Path) -> set[str]:
    """Packages that a file imports anywhere in it, also inside functions."""
    packages = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "unveil" else [f"unveil.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        packages |= {name.split(".")[1] for name in names if name.startswith("unveil.")}
    return packages - {"__version__"}


def module_of(path: Path) -> str:
    """Name of a module below `unveil`; a package's own name for its ``__init__``."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def unit(module: str) -> str:
    """The package or sub-package in which a module lies, or the module where it lies in none of these."""
    parts = module.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or (SOURCE / module.replace(".", "/")).is_dir() else module


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """Modules that a file imports when it is run, without those that only type checkers read."""
    tree, found = ast.parse(path.read_text()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unveil."):
            module = (node.module or "").removeprefix("unveil.")
            names = {f"{module}.{alias.name}" for alias in node.names} & modules
            found |= names or {module}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_only(path):
    here = package(path)
    if here == "__init__":
        return
    for other in imported_packages(path) - {here}:
        below = ORDER[other] < ORDER[here] or {here, other} <= BASE
        assert below, f"{here} imports {other}, which docs/layers.yaml has above it"


def test_the_list_of_layers_names_every_package_once():
    names = [name for layer in LAYERS for name, _ in layer]
    there = {package(path) for path in FILES} - {"__init__", "__main__"}
    assert sorted(names) == sorted(there)


def test_data_names_nothing_above_it_in_a_text():
    for path in (SOURCE / "data").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found = re.fullmatch(r"unveil\.(\w+)[\w.]*:\w+", node.value)
                assert found is None or ORDER[found[1]] <= ORDER["data"], f"{path.name}: {node.value}"


def test_packages_and_sub_packages_are_in_no_circle():
    modules = {module_of(path) for path in FILES}
    edges: dict[str, set[str]] = {}
    for path in FILES:
        if path == SOURCE / "__init__.py":
            continue
        here = unit(module_of(path))
        edges.setdefault(here, set()).update(unit(m) for m in imported_modules(path, modules) if unit(m) != here)
    try:
        list(TopologicalSorter(edges).static_order())
    except CycleError as e:
        pytest.fail(" imports ".join(reversed(e.args[1])))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_import_of_the_package_is_hidden_in_a_function(path):
    where = path.relative_to(SOURCE).as_posix()
    if where in LAZY or where.startswith("cli/"):
        return
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                module = getattr(node, "module", "") if isinstance(node, ast.ImportFrom) else ""
                assert not (module or "").startswith("unveil"), f"{function.name} imports {module}"


def test_files_and_folders_are_short_enough_to_be_read_in_one_sitting():
    lines = {path.relative_to(SOURCE).as_posix(): len(path.read_text().splitlines()) for path in FILES}
    modules = Counter(path.parent.relative_to(SOURCE).as_posix() for path in FILES if path.name != "__init__.py")
    assert {name for name, count in lines.items() if count > MAX_LINES} <= LONG_FILES
    assert {name for name, count in modules.items() if count > MAX_MODULES} <= FULL_FOLDERS


def test_the_committed_picture_is_what_is_drawn(tmp_path):
    drawn = tmp_path / "drawn.svg"
    subprocess.run([sys.executable, ROOT / "scripts" / "draw_architecture.py", drawn], check=True)
    committed = ROOT / "docs" / "pictures" / "architecture.svg"
    assert drawn.read_bytes() == committed.read_bytes(), "draw it again: python scripts/draw_architecture.py"


def test_methods_read_no_files_and_log_nothing_but_warnings():
    for path in (SOURCE / "methods").rglob("*.py"):
        calls = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not calls & {"open", "Path", "print"}, path.name


@pytest.mark.parametrize("words", [["--help"], ["search", "--help"], ["gallery", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy_and_no_command_but_the_one_that_is_asked_about(words):
    code = (
        "import contextlib, io, sys; from unveil.cli import main\n"
        f"sys.argv = ['unveil', *{words}]\n"
        "with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit): main()\n"
        "assert 'Usage: unveil' in shown.getvalue(), shown.getvalue()\n"
        "print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(told.stdout.split())
    heavy = "PIL av cv2 matplotlib numba numpy onnxruntime openvino scipy torch"
    assert not loaded & set(heavy.split())
    modules = {name: f"unveil.cli.{found.module}" for name, found in (COMMANDS | GROUPS).items()}
    others = {module for name, module in modules.items() if name not in words}
    assert not loaded & others
