"""The command line. Commands import what they need when they run, so that ``--help`` answers at once."""

from __future__ import annotations

import functools
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from unveil import __version__
from unveil.cli import help_panels
from unveil.cli.commands import add_commands, called
from unveil.cli.interrupts import end_as_ctrl_c
from unveil.errors import InterruptedRunError, UnveilError, is_out_of_memory

TRACEBACK = "UNVEIL_TRACEBACK"
QUIET = ("--quiet", "-q")


def __getattr__(name: str) -> Any:
    """Give ``app``, the application with all commands, for what looks at them: help, docs, completion, tests."""
    if name != "app":
        raise AttributeError(f"module 'unveil.cli' has no attribute {name!r}")
    return application(None)


@functools.cache
def application(only: str | None) -> typer.Typer:
    """Return the application; see `unveil.cli.commands.add_commands`."""
    app = typer.Typer(
        name="unveil",
        help="Find a person again when the body is occluded and the clothes have changed.",
        epilog=help_panels.EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    app.callback()(_setup)
    add_commands(app, only)
    return app


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def _setup(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option(*QUIET, help="No progress and no log, only results.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from unveil.cli import allocator
    from unveil.cli.terminal import set_up_terminal

    if context.invoked_subcommand != "serve":  # which lives long, and shall give back what a large upload took
        allocator.keep_freed_memory()
    else:
        allocator.return_large_blocks()
    set_up_terminal(quiet=quiet)


def main() -> None:
    """Run the command line; an error that a user can act on is one message and exit code 2.

    So is a fault of the program itself; with ``UNVEIL_TRACEBACK=1`` that comes with its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    end_as_ctrl_c()
    sys.argv[1:] = _quiet_first(sys.argv[1:])
    # Completion asks for the options of any command.
    whole = any(name.endswith("_COMPLETE") for name in os.environ)
    try:
        application(None if whole else called(sys.argv[1:]))()
    except UnveilError as e:
        _fail(str(e), 130 if isinstance(e, InterruptedRunError) else 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if os.environ.get(TRACEBACK):
            raise
        _fail(_unexpected(e), 2)


def _quiet_first(words: list[str]) -> list[str]:
    """Return the words with ``--quiet`` before the command, where the application takes it, wherever it stood.

    >>> _quiet_first(["search", "a.png", "--quiet", "station"])
    ['--quiet', 'search', 'a.png', 'station']
    """
    end = words.index("--") if "--" in words else len(words)
    quiet = [word for word in words[:end] if word in QUIET]
    return [*quiet[:1], *(word for word in words[:end] if word not in QUIET), *words[end:]]


def _fail(message: str, code: int) -> NoReturn:
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(code)


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"the system refuses{where}: {error.strerror or error}"
    if is_out_of_memory(error):
        return "the memory of this machine, or of its GPU, does not suffice"
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return (
        f"unexpected {said} ({place.name}, {Path(place.filename).name}:{place.lineno}). This is a fault of unveil, not "
        f"of your input: please report it with what {TRACEBACK}=1 prints"
    )
