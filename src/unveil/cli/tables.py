"""Tables on the terminal whose cells are shown as they are: a label or a path may hold what Rich takes for markup."""

from __future__ import annotations

from typing import Any

from rich import table
from rich.console import RenderableType
from rich.text import Text

from unveil.cli.terminal import printable


class Table(table.Table):
    """A Rich table without markup in title and cells; a word that is wider than its column goes on below, uncut."""

    def __init__(self, *headers: str, title: str | None = None, **options: Any) -> None:
        columns = (table.Column(header, overflow="fold") for header in headers)
        super().__init__(*columns, title=None if title is None else Text(title), **options)

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; texts are shown character by character, those that no terminal can print as escapes."""
        super().add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells), **options)
