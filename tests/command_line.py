"""Running the command line in this process, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

from unveil.cli import app, main
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


def runner_on(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """Return a function that runs ``unveil`` on a store, expects an exit code, and gives what it printed."""

    def run(*words: object, code: int = 0) -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["unveil", "--quiet", *map(str, words), "--store", server])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert (end.value.code or 0) == code, out + err
        return out, err

    return run
