"""Log and progress on the terminal, as every command has them."""

from __future__ import annotations

import logging

from unveil.progress import show_progress


def printable(text: str) -> str:
    """Return a text with what no terminal can print as escapes, line ends apart.

    >>> printable("gate\\x1b[2J")
    'gate\\\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class PlainFormatter(logging.Formatter):
    """Formats records so that none commands the terminal: names of files and texts of requests stand in them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return message and traceback of a record."""
        return printable(super().format(record))


def set_up_terminal(*, quiet: bool) -> None:
    """Show progress and log on standard error; with ``quiet`` warnings alone."""
    from rich.console import Console
    from rich.logging import RichHandler

    show_progress(on=not quiet)
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_level=False, rich_tracebacks=False)
    level = logging.WARNING if quiet else logging.INFO
    handler.setLevel(level)  # of the terminal: a command that keeps a log file logs more
    handler.setFormatter(PlainFormatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
