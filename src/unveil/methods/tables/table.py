"""Tables of the papers as data: the settings of each row and the figures that the authors print for it.

Each file of this package has a constant ``ABLATIONS: dict[str, Table]``, from a short name ("table2", "k") to
the table. The figures are the papers' own, on their data; nothing here was measured with this project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Args:
        label: as the paper names it.
        settings: settings of the method that differ from its defaults.
        figures: the paper's figures in percent, one for each column of the table, ``None`` where one cannot be read;
            empty where the paper shows the row only in an image, or not at all.
        overrides: changes of the recipe beyond the method's settings, for example
            ``("backbone.name=resnet50_ibn_a",)``.
    """

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: tuple[float | None, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """An ablation table or a sweep.

    Args:
        title: what it varies and where the paper has it.
        dataset: the benchmarks and protocols behind the columns.
        columns: names of the figures, for example ``("R-1", "mAP")``.
        rows: in the paper's order.
        about: what had to be interpreted.
    """

    title: str
    dataset: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    about: str = ""

    def __post_init__(self) -> None:
        if len({row.label for row in self.rows}) != len(self.rows):
            raise ValueError(f"table {self.title!r}: two rows have the same label")
        for row in self.rows:
            if row.figures and len(row.figures) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}, row {row.label!r}: expected {len(self.columns)} figures, got {row.figures}"
                )


def sweep(
    title: str, dataset: str, *, columns: tuple[str, ...], setting: str, values: Iterable[Any], **fixed: Any
) -> Table:
    """Return a table with one row for each value of a setting, for curves whose figures the paper does not print."""
    rows = tuple(Row(f"{setting}={value}", {**fixed, setting: value}) for value in values)
    return Table(title, dataset, columns, rows)
