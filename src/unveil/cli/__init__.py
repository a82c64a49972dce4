"""The command line. Commands import what they need when they run, so that ``--help`` answers at once."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from unveil import __version__
from unveil.cli import doctor, help_panels
from unveil.cli.data import app as data
from unveil.cli.data import occlude, parse
from unveil.cli.gallery import app as gallery
from unveil.cli.gallery import audit, serve
from unveil.cli.interrupts import end_as_ctrl_c
from unveil.cli.models import (
    ablate,
    ablate_all,
    adapt,
    bench,
    demo,
    embed,
    evaluate,
    export,
    methods,
    pretrain,
    robustness,
    train,
)
from unveil.cli.models.catalogue import app as catalogue
from unveil.cli.search import command as search
from unveil.cli.world import app as world
from unveil.errors import InterruptedRunError, UnveilError
from unveil.progress import show_progress

TRACEBACK = "UNVEIL_TRACEBACK"

app = typer.Typer(
    name="unveil",
    help="Find a person again when the body is hidden and the clothes have changed.",
    epilog=help_panels.EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for _name, _command in {
    "demo": demo,
    "train": train,
    "pretrain": pretrain,
    "adapt": adapt,
    "evaluate": evaluate,
    "embed": embed,
    "search": search,
    "serve": serve,
    "export": export,
    "parse": parse,
    "occlude": occlude,
    "robustness": robustness,
    "bench": bench,
    "ablate": ablate,
    "ablate-all": ablate_all,
    "methods": methods,
    "doctor": doctor,
}.items():
    app.command(_name, epilog=help_panels.EXIT_CODES)(_command.command)
app.add_typer(data.app, name="data")
app.add_typer(gallery.app, name="gallery")
app.add_typer(audit.app, name="audit")
app.add_typer(catalogue.app, name="models")
app.add_typer(world.app, name="world")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _setup(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no log, only results.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    show_progress(not quiet)
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_level=False, rich_tracebacks=False)
    level = logging.WARNING if quiet else logging.INFO
    handler.setLevel(level)  # of the terminal: a command that keeps a log file logs more
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])


def main() -> None:
    """Run the command line; an error that a user can act on is one message and exit code 2.

    So is a fault of the program itself; with ``UNVEIL_TRACEBACK=1`` that comes with its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    end_as_ctrl_c()
    try:
        app()
    except UnveilError as e:
        _fail(str(e), 130 if isinstance(e, InterruptedRunError) else 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if os.environ.get(TRACEBACK):
            raise
        _fail(_unexpected(e), 2)


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(code)


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"the system refuses{where}: {error.strerror or error}"
    if isinstance(error, MemoryError):
        return "the memory of this machine does not suffice"
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return (
        f"unexpected {said} ({place.name}, {Path(place.filename).name}:{place.lineno}). This is a fault of unveil, not "
        f"of your input: please report it with what {TRACEBACK}=1 prints"
    )
