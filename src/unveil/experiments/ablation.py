"""The rows of a paper's table as a grid, and its figures beside ours."""

from __future__ import annotations

from collections.abc import Mapping

from unveil.errors import RecipeError, nearest
from unveil.experiments.grid import Cell, ResultRow, summary
from unveil.methods import method_class
from unveil.methods.tables import TABLES
from unveil.methods.tables.table import Table
from unveil.recipe import Recipe, with_overrides

WORDS = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mAP": "mAP"}


def tables(method: str) -> Mapping[str, Table]:
    """Return the ablation tables of a method by short name; empty when its paper has none.

    Raises:
        RecipeError: no method has that name.
    """
    method_class(method)
    return TABLES.get(method, {})


def find_table(method: str, name: str | None) -> Table:
    """Return a table of a method by short name; the first for ``None``.

    Raises:
        RecipeError: the method has no such table.
    """
    found = tables(method)
    if name is None and found:
        return next(iter(found.values()))
    if not found:
        raise RecipeError(f"the paper of {method} has no ablation table here")
    if name is None or name not in found:
        known = ", ".join(found) or "none"
        raise RecipeError(f"{method} has no table {name!r}{nearest(name or '', found)}; it has: {known}")
    return found[name]


def cells_of(table: Table, recipe: Recipe) -> list[Cell]:
    """Return one cell a row: the recipe with the settings and overrides of the row."""
    cells = []
    for row in table.rows:
        choice = type(recipe.method)(name=recipe.method.name, **{**recipe.method.settings, **row.settings})
        changed = recipe.model_copy(update={"method": choice})
        cells.append(Cell(row.label, with_overrides(changed, row.overrides)))
    return cells


def as_markdown(table: Table, figures: list[ResultRow]) -> str:
    """Return our figures with the paper's in columns of their own.

    Ours are Rank-1 / mAP, with Rank-5 and Rank-10 between them where the paper prints these, mean ± standard deviation
    over runs.
    """
    ours, names = summary(figures), measures(table)
    measured = list(dict.fromkeys((figure.dataset, figure.protocol) for figure in figures))
    start_of = {figure.label: figure.start for figure in figures}
    differ = len(set(start_of.values())) > 1
    head = [
        "row",
        *(["start"] if differ else []),
        *(f"{d}, {p.partition('#')[0]}" for d, p in measured),
        *(f"paper: {c}" for c in table.columns),
    ]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in table.rows:
        averages = [ours.get((row.label, *where)) for where in measured]
        own = ["" if average is None else average.text(names) for average in averages]
        printed = row.figures or (None,) * len(table.columns)
        paper = ["" if figure is None else f"*{figure}*" for figure in printed]
        start = [start_of.get(row.label, "")] if differ else []
        lines.append(f"| {' | '.join([row.label, *start, *own, *paper])} |")
    runs = max((average.runs for average in ours.values()), default=0)
    shown = " / ".join(WORDS[name] for name in names)
    note = f"{shown} in percent{f', mean ± standard deviation over {runs} runs' if runs > 1 else ', one run'}."
    if start_of and not differ:
        note += f" Started from {next(iter(start_of.values()))}."
    if table.columns:
        note += f" Paper ({table.title}, on {table.dataset}): other data and backbone, so only directions compare."
    return "\n".join([*lines, "", note, *([table.about] if table.about else [])]) + "\n"


def measures(table: Table) -> tuple[str, ...]:
    """Return which figures a table compares: Rank-5 and Rank-10 too where the paper prints them."""
    more = [name for rank, name in (("R-5", "rank5"), ("R-10", "rank10")) if rank in table.columns]
    return ("rank1", *more, "mAP")
