"""Log and progress on the terminal, as every command has them."""

from __future__ import annotations

import logging

from unveil.progress import show_progress


def set_up_terminal(*, quiet: bool) -> None:
    """Show progress and log on standard error; with ``quiet`` warnings alone."""
    from rich.console import Console
    from rich.logging import RichHandler

    show_progress(on=not quiet)
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_level=False, rich_tracebacks=False)
    level = logging.WARNING if quiet else logging.INFO
    handler.setLevel(level)  # of the terminal: a command that keeps a log file logs more
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])
