"""What is shown on the terminal, whatever stands in the names of files and in requests."""

from __future__ import annotations

import io
import logging

from rich.console import Console

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
