"""What a user's words and files can hold on a terminal: markup, odd characters, and faults that are one sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import unveil.cli
from unveil.cli import TRACEBACK, main
from unveil.cli.tables import Table


def test_every_table_of_a_command_is_one_without_markup():
    modules = {path for path in Path(unveil.cli.__file__).parent.rglob("*.py") if path.name != "tables.py"}
    assert len(modules) > 50
    imported = r"(?m)^\s*(from rich\.table import|import rich\.table|from rich import .*\btable\b)"
    assert not [path for path in modules if re.search(imported, path.read_text())]


def test_cells_are_shown_as_they_are(capsys):
    table = Table("camera", title="search of [/b] in [red]x[/red]")
    table.add_row("[/gate]")
    table.add_row("[bold]hall[/bold]")
    table.add_row("a\x1b[2Jb\udcffc")
    Console(width=60, file=sys.stdout).print(table)
    shown = capsys.readouterr().out
    for text in ("[/b]", "[red]x[/red]", "[/gate]", "[bold]hall[/bold]", r"a\x1b[2Jb\udcffc"):
        assert text in shown


def test_a_word_that_is_wider_than_its_column_is_shown_whole():
    table = Table("a crop", "camera")
    table.add_row("images/p01_c0_0001_very_long.png", "gate")
    console = Console(width=24)
    with console.capture() as shown:
        console.print(table)
    column = "".join(line.split("│")[1].strip() for line in shown.get().splitlines() if line.startswith("│"))
    assert column == "images/p01_c0_0001_very_long.png" and "…" not in shown.get()


@pytest.mark.parametrize("error", [KeyError("camera"), IndexError("list"), ValueError("a\nb"), RecursionError("deep")])
def test_a_fault_of_the_program_is_one_sentence_with_its_place(monkeypatch, capsys, error):
    def broken() -> None:
        raise error

    monkeypatch.setattr("unveil.cli.application", lambda only: broken)
    monkeypatch.delenv(TRACEBACK, raising=False)
    with pytest.raises(SystemExit) as end:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 2 and type(error).__name__ in said and "fault of unveil" in said
    assert "broken, test_cli_words.py" in said and "Traceback" not in said
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(type(error)):
        main()


@pytest.mark.parametrize("take", [lambda: torch.empty(2**55), lambda: np.empty(2**55)])
def test_too_little_memory_is_a_sentence(monkeypatch, capsys, take):
    monkeypatch.setattr("unveil.cli.application", lambda only: take)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "memory of this machine, or of its GPU, does not suffice" in " ".join(capsys.readouterr().err.split())


def test_what_the_system_refuses_names_the_file(monkeypatch, capsys):
    def broken() -> None:
        raise PermissionError(13, "Permission denied", "/data/[x].csv")

    monkeypatch.setattr("unveil.cli.application", lambda only: broken)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "the system refuses: /data/[x].csv: Permission denied" in " ".join(capsys.readouterr().err.split())


def test_a_name_that_is_no_text_is_printed_as_escapes(tmp_path):
    folder = tmp_path / "b\udcff"
    folder.mkdir()
    command = [sys.executable, "-m", "unveil", "data", "check", f"folder:{folder}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "no image in it" in done.stderr and r"b\udcff" in done.stderr
    assert "Traceback" not in done.stderr
