"""The architecture of docs/house.md, held against the imports of every file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import unveil

SOURCE = Path(unveil.__file__).parent
FLOORS = {
    "errors": 0, "files": 0, "progress": 0, "records": 0, "recipe": 0, "source_text": 0, "shipped": 0,
    "label_sets": 0, "data": 1.0, "runtime": 1.1, "parsing": 1.3, "video": 1.4, "occlusion": 1.6,
    "nn": 2, "losses": 2, "world": 2, "datasets": 2.5,
    "methods": 3, "evaluation": 3,
    "models": 4, "export": 4.3, "inference": 4.6,
    "training": 5.0, "report": 5.3, "gallery": 5.5, "experiments": 5.6, "server": 5.8, "api": 5.8,
    "cli": 6, "__main__": 7,
}  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(SOURCE).parts
    return parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports anywhere in it, also inside functions."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "unveil" else [f"unveil.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("unveil.")}
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_the_house_only(path):
    here = room(path)
    if here == "__init__":
        return
    for other in imported_rooms(path) - {here}:
        below = FLOORS[other] < FLOORS[here] or (FLOORS[here] == 0 and FLOORS[other] == 0)
        assert below, f"{here} (floor {FLOORS[here]}) imports {other} (floor {FLOORS[other]})"


def test_methods_read_no_files_and_log_nothing_but_warnings():
    for path in (SOURCE / "methods").glob("*.py"):
        calls = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not calls & {"open", "Path", "print"}, path.name


def test_the_command_line_imports_nothing_heavy_until_a_command_runs():
    import subprocess
    import sys

    heavy = ("torch", "numba", "cv2", "matplotlib", "numpy", "PIL")
    code = f"import unveil.cli, sys; print(','.join(m for m in {heavy} if m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
