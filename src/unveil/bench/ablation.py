"""The rows of a paper's table as a grid, and its figures beside ours."""

from __future__ import annotations

import importlib

from unveil.bench.grid import Cell, Figure, summary
from unveil.errors import RecipeError, nearest
from unveil.methods import method_class
from unveil.methods.ablation import Table
from unveil.recipe import Recipe, with_overrides


def tables(method: str) -> dict[str, Table]:
    """Return the ablation tables of a method by short name; empty when its paper has none."""
    module = importlib.import_module(method_class(method).__module__)
    found: dict[str, Table] = getattr(module, "ABLATIONS", {})
    return found


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
    if name not in found:
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


def as_markdown(table: Table, figures: list[Figure]) -> str:
    """Return our figures (Rank-1 / mAP, mean ± deviation over runs) with the paper's in columns of their own."""
    ours = summary(figures)
    measured = list(dict.fromkeys((figure.dataset, figure.protocol) for figure in figures))
    head = ["row", *(f"{d}, {p.partition('#')[0]}" for d, p in measured), *(f"paper: {c}" for c in table.columns)]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in table.rows:
        own = [_cell(ours.get((row.label, *where))) for where in measured]
        printed = row.figures or (None,) * len(table.columns)
        paper = ["" if figure is None else f"*{figure}*" for figure in printed]
        lines.append(f"| {' | '.join([row.label, *own, *paper])} |")
    runs = max((value[4] for value in ours.values()), default=0)
    note = f"Rank-1 / mAP in percent{f', mean ± deviation over {runs} runs' if runs > 1 else ', one run'}."
    if table.columns:
        note += f" Paper ({table.title}, on {table.dataset}): other data and backbone, so only directions compare."
    return "\n".join([*lines, "", note, *([table.about] if table.about else [])]) + "\n"


def _cell(value: tuple[float, float, float, float, int] | None) -> str:
    if value is None:
        return ""
    if value[4] == 1:
        return f"{value[0]:.1f} / {value[2]:.1f}"
    return f"{value[0]:.1f} ± {value[1]:.1f} / {value[2]:.1f} ± {value[3]:.1f}"
