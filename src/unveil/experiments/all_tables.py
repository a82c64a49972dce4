"""Every ablation table of every method in one resumable run, and its figures as lines of a CSV."""

from __future__ import annotations

import csv
import io
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from unveil.atomic_io import write_text
from unveil.data.samplers import epoch_batches
from unveil.errors import DataError, InterruptedRunError
from unveil.experiments.ablation import cells_of, tables
from unveil.experiments.grid import Cell, ResultRow, finished_figures, one_a_split, run_grid
from unveil.models.parsing_maps import open_training_set
from unveil.recipe import Recipe

log = logging.getLogger(__name__)
SEPARATOR = ": "


@dataclass(frozen=True)
class Line:
    """One evaluation of one row of one table; figures in percent.

    Args:
        method: name of the method.
        table: short name of the table.
        row: label of the row.
        start: what the backbone started from, as the card of the model says.
        backbone: its name.
        seed: of the training.
        epochs: length of the training.
        dataset: tested on.
        protocol: with its hash.
        rank1: Rank-1.
        rank5: Rank-5; nan where it was not recorded.
        rank10: Rank-10; nan where it was not recorded.
        mAP: mean average precision.
        mINP: mean inverse negative penalty.
        queries: number of queries.
        device: trained on.
    """

    method: str
    table: str
    row: str
    start: str
    backbone: str
    seed: int
    epochs: int
    dataset: str
    protocol: str
    rank1: float
    rank5: float
    rank10: float
    mAP: float
    mINP: float
    queries: int
    device: str

    @property
    def series(self) -> tuple[str, str, int]:
        """What lines of one comparison share: start, backbone and epochs."""
        return self.start, self.backbone, self.epochs


def run_tables(
    recipes: Mapping[str, Recipe],
    seeds: int,
    *,
    out: Path,
    table: Path | None = None,
    cache: Path | None = None,
    minutes: float | None = None,
) -> list[Line]:
    """Train and evaluate every row of every table of some methods, one seed after the other.

    Rows that train alike, in one table or in several, are trained once. Called again it resumes where it stopped.

    Args:
        recipes: what the rows of each method vary; their training and test data, backbone and epochs are the budget.
        seeds: number of seeds; all tables are complete for one before the next begins.
        out: folder of the runs, ``<out>/<method>/<table row>/<seed>/``.
        table: CSV to write the lines to, in place of older ones of the same runs; ``<out>/ablations.csv`` by default.
        cache: folder of the image stores.
        minutes: upper bound; what is unfinished then resumes in the next call.

    Returns:
        The lines of the CSV.

    Raises:
        InterruptedRunError: the minutes are over, or Ctrl-C; the lines of what is finished are written.
        DataError: a row asks for batches of more people than there are; said before the first row is trained.
    """
    path = table or out / "ablations.csv"
    end = None if minutes is None else time.monotonic() + 60 * minutes
    cells = {method: _cells(method, recipe) for method, recipe in recipes.items()}
    _refuse_impossible_rows(cells, cache)
    try:
        for seed in range(seeds):
            for method, rows in cells.items():
                log.info("seed %d of %d: %s, %d rows", seed + 1, seeds, method, len(rows))
                left = None if end is None else max(end - time.monotonic(), 0) / 60
                run_grid(rows, [seed], out=out / method, cache=cache, minutes=left, tidy=True)
                _write(path, cells, seeds=seed + 1, out=out)
    except InterruptedRunError:
        _write(path, cells, seeds=seeds, out=out)
        raise
    return read_lines(path)


def read_lines(path: Path) -> list[Line]:
    """Read lines from a CSV; none where there is no file.

    Raises:
        DataError: the file is no table of ablations.
    """
    if not path.is_file():
        return []
    kinds = {field.name: {"int": int, "float": float}.get(str(field.type), str) for field in fields(Line)}
    try:
        with path.open(newline="", encoding="utf-8") as f:
            return [Line(**{name: kind(row[name]) for name, kind in kinds.items()}) for row in csv.DictReader(f)]
    except (KeyError, ValueError, TypeError) as e:
        raise DataError(f"{path}: expected the columns {', '.join(kinds)}, each with its value: {e}") from None


def write_lines(path: Path, lines: Sequence[Line]) -> None:
    """Write lines as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Line)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(line) for line in lines)
    write_text(path, text.getvalue())


def _cells(method: str, recipe: Recipe) -> list[Cell]:
    """Return the rows of all tables of a method, without those that a start made for one backbone does not fit."""
    cells = [
        Cell(f"{name}{SEPARATOR}{cell.label}", cell.recipe)
        for name, table in tables(method).items()
        for cell in cells_of(table, recipe)
    ]
    if recipe.backbone.init in ("imagenet", "random"):
        return cells
    fitting = [cell for cell in cells if cell.recipe.backbone.name == recipe.backbone.name]
    for label in sorted({cell.label for cell in cells} - {cell.label for cell in fitting}):
        log.warning("%s, %s: left out: its backbone is another than that of %s", method, label, recipe.backbone.init)
    return fitting


def _refuse_impossible_rows(cells: Mapping[str, Sequence[Cell]], cache: Path | None) -> None:
    checked: set[str] = set()
    for method, rows in cells.items():
        for cell in rows:
            for _, recipe in one_a_split(cell.recipe):
                asked = f"{method} {recipe.data!r} {recipe.input!r} {recipe.sampler!r}"
                if asked in checked:
                    continue
                checked.add(asked)
                data = open_training_set(recipe, cache)
                try:
                    epoch_batches(
                        data, recipe.sampler, seed=recipe.train.seed, epoch=0, max_per_person=recipe.data.max_per_person
                    )
                except DataError as e:
                    raise DataError(f"{method}, {cell.label}: {e}") from None


def _write(path: Path, cells: Mapping[str, Sequence[Cell]], *, seeds: int, out: Path) -> None:
    new = [
        _line(figure)
        for method, rows in cells.items()
        for figure in finished_figures(rows, range(seeds), out=out / method)
    ]
    replaced = {_identity(line) for line in new}
    write_lines(path, [line for line in read_lines(path) if _identity(line) not in replaced] + new)


def _identity(line: Line) -> tuple[object, ...]:
    return (line.method, line.table, line.row, line.seed, line.dataset, line.protocol, *line.series)


def _line(figure: ResultRow) -> Line:
    table, _, row = figure.label.partition(SEPARATOR)
    values = {field.name: getattr(figure, field.name) for field in fields(Line) if hasattr(figure, field.name)}
    return Line(**values | {"table": table, "row": row})
