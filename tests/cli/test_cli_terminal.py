"""What is shown on the terminal, whatever stands in the names of files and in requests."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from rich.console import Console

from unveil.cli import main
from unveil.cli.tables import Table
from unveil.cli.terminal import PlainFormatter

COMMAND = "a\x1b[2Jb\x9bc\rd"
SHOWN = "a\\x1b[2Jb\\x9bc\\rd"


def test_a_record_and_its_traceback_command_no_terminal():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(PlainFormatter("%(message)s"))
    log = logging.Logger("of this test")
    log.addHandler(handler)
    try:
        raise ValueError(COMMAND)
    except ValueError:
        log.exception("%s\nü", COMMAND)
    said = out.getvalue().splitlines()
    assert said[:2] == [SHOWN, "ü"] and said[-1] == f"ValueError: {SHOWN}"


def test_a_cell_of_a_table_commands_no_terminal():
    out = io.StringIO()
    table = Table("name")
    table.add_row(COMMAND)
    Console(file=out, width=60).print(table)
    assert SHOWN in out.getvalue() and "\x1b" not in out.getvalue()


@pytest.mark.parametrize("words", [["data", "list", "--json", "--quiet"], ["data", "-q", "list", "--json"]])
def test_quiet_is_taken_wherever_it_stands(monkeypatch, capsys, words):
    monkeypatch.setattr("sys.argv", ["unveil", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code and capsys.readouterr().out.startswith("[")
    assert sys.argv[1] == next(word for word in words if word in ("--quiet", "-q"))


def test_what_is_behind_two_dashes_is_no_option(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["unveil", "data", "check", "--", "--quiet"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and "unknown dataset '--quiet'" in capsys.readouterr().err
