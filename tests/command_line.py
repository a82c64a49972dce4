"""Running the command line in this process, and what it refuses."""

from __future__ import annotations

from click.testing import Result
from typer.testing import CliRunner

from unveil.cli import app
from unveil.errors import UnveilError


def run(*words: object, code: int = 0) -> Result:
    """Run ``unveil`` and return what it printed; it must end with that exit code."""
    found = CliRunner().invoke(app, ["-q", *map(str, words)])
    assert found.exit_code == code, (found.output, found.exception)
    return found


def refused(*words: object) -> str:
    """Run ``unveil`` and return the one sentence with which it refuses."""
    found = CliRunner().invoke(app, ["-q", *map(str, words)])
    assert isinstance(found.exception, UnveilError), (found.output, found.exception)
    return str(found.exception)
