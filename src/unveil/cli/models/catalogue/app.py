"""``unveil models``: published, installed and shipped models; cards for models of other projects."""

from __future__ import annotations

from collections.abc import Callable

import typer

from unveil.cli import help_panels
from unveil.cli.models.catalogue import add, get, importing, installed, join, listing

app = typer.Typer(no_args_is_help=True, help="Published, installed and shipped models; cards for models of others.")
_COMMANDS: dict[str, Callable[..., None]] = {
    "list": listing.command,
    "get": get.command,
    "add": add.command,
    "import": importing.command,
    "join": join.command,
    "verify": installed.verify,
    "remove": installed.remove,
    "card": installed.card,
}
for _name, _command in _COMMANDS.items():
    app.command(_name, epilog=help_panels.EXIT_CODES)(_command)
