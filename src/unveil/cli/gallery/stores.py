"""What the commands on galleries share: which store, by whom, and the words in which times and lengths are given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels
from unveil.errors import DataError

if TYPE_CHECKING:
    from unveil.gallery.store.protocol import Store

StoreOption = Annotated[
    str | None,
    typer.Option(
        help="postgresql://..., or read-only:PATH of a backup; an own PostgreSQL by default.",
        rich_help_panel=help_panels.STORE,
    ),
]
FolderOption = Annotated[
    Path | None, typer.Option(help="Where the own PostgreSQL keeps its data.", rich_help_panel=help_panels.STORE)
]
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


@contextmanager
def opened(address: str | None, folder: Path | None) -> Iterator[Store]:
    """Open the store of galleries for a while."""
    from unveil.gallery.store.opening import open_store

    store = open_store(address, folder)
    try:
        yield store
    finally:
        store.close()


def timestamp(text: str | None, what: str) -> float | None:
    """Return a time option as seconds: a number, or ISO 8601 (UTC unless it names a zone).

    Raises:
        DataError: neither of the two.
    """
    from unveil.data.readers.manifest import parse_time

    try:
        return None if text is None else parse_time(text)
    except ValueError:
        raise DataError(f"{what}: expected seconds or a date and time such as 2026-03-01T08:30, got {text!r}") from None


def duration(text: str) -> float | None:
    """Return a length of time in seconds: a number with s, m, h, d or w behind it; ``None`` for "forever".

    Raises:
        DataError: neither of the two.
    """
    if text == "forever":
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if not found or not float(found[1]):
        raise DataError(f"expected a length of time such as 90d, 12h or 30m, or forever; got {text!r}")
    return float(found[1]) * UNITS[found[2]]
