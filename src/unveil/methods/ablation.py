"""A paper's ablation table as data: the settings of each row, and the figures that the paper prints for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One row.

    Args:
        label: what the paper calls it.
        settings: settings of the method that differ from its defaults.
        figures: column -> figure in percent as printed; a column that the paper does not print is absent.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One table or sweep.

    Args:
        title: for example "Table II".
        dataset: what the paper measured on; the figures say nothing about other data.
        rows: the rows in the paper's order.
        about: what had to be interpreted.
    """

    title: str
    dataset: str
    rows: tuple[Row, ...]
    about: str = ""
