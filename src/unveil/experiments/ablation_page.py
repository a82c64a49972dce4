"""A page about ablations whose tables are written from the CSV: what each paper found for each row, and what we found.

A table stands between ``<!-- ablation METHOD TABLE -->`` and ``<!-- end -->``; everything else of the page is prose.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from unveil.errors import DataError
from unveil.experiments.ablation import find_table
from unveil.experiments.all_tables import Line
from unveil.methods import method_settings
from unveil.methods.tables.table import Row, Table

BLOCK = re.compile(r"(<!-- ablation (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
# What is shown of a world, and which figure speaks for what a method is about.
COLUMNS = (
    ("world-small", "world-general", "general"),
    ("world-small", "world-cc", "changed"),
    ("world-small", "world-occ", "occluded"),
    ("world-small", "world-occ-cc", "both"),
    ("world-default", "world-cc", "changed, 200 people"),
    ("world-default", "world-occ-cc", "both, 200 people"),
)
TOPICS = {"cal": "world-cc", "cre": "world-cc", "oc4": "world-occ-cc"}
OCCLUDED = "world-occ"
RUNS_FOR_A_DIRECTION = 3


@dataclass(frozen=True)
class Against:
    """How a row differs from the full method: the paper's difference of mAP, ours, and whether they agree."""

    paper: str = ""
    ours: str = ""
    direction: str = ""


def render(page: str, lines: Sequence[Line]) -> str:
    """Return a page with its tables written anew.

    Raises:
        DataError: the page has no place for a table.
        RecipeError: it has one for a table that no method has.
    """
    if not BLOCK.search(page):
        raise DataError("the page has no table to write: expected <!-- ablation METHOD TABLE --> and <!-- end -->")

    def written(match: re.Match[str]) -> str:
        return f"{match[1]}{as_table(match[2], match[3], lines=lines)}{match[4]}"

    return BLOCK.sub(written, page)


def places(page: str) -> list[tuple[str, str]]:
    """Return the (method, table) of every place for a table."""
    return [(match[2], match[3]) for match in BLOCK.finditer(page)]


def as_table(method: str, name: str, *, lines: Sequence[Line]) -> str:
    """Return a table as Markdown: ours by world and protocol, the paper's, and the difference to the full method."""
    table = find_table(method, name)
    own = [line for line in lines if (line.method, line.table) == (method, name)]
    series = _latest(own, table)
    own = [line for line in own if line.series == series]
    shown = [(dataset, protocol, word) for dataset, protocol, word in COLUMNS if _of(own, dataset, protocol=protocol)]
    full = _full(method, table)
    head = ["row", *(word for _, _, word in shown), *(f"paper: {what}" for what in _groups(table))]
    if full is not None:
        head += ["paper: Δ mAP", "ours: Δ mAP", "direction"]
    rows = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in table.rows:
        ours = [line for line in own if line.row == row.label]
        cells = [_cell(_of(ours, dataset, protocol=protocol)) for dataset, protocol, _ in shown]
        cells += [_printed(row, columns) for columns in _groups(table).values()]
        if full is not None:
            found = _against(method, table, row=row, full=full, lines=own)
            cells += [found.paper, found.ours, found.direction]
        rows.append(f"| {' | '.join([row.label, *cells])} |")
    return "\n".join([*rows, "", _caption(table, own, method=method), ""])


def _latest(lines: Sequence[Line], table: Table) -> tuple[str, str, int] | None:
    """Return the last series that has every row, or else the last there is."""
    series = list(dict.fromkeys(line.series for line in lines))
    labels = {row.label for row in table.rows}
    whole = [found for found in series if labels <= {line.row for line in lines if line.series == found}]
    return whole[-1] if whole else series[-1] if series else None


def _of(lines: Sequence[Line], dataset: str, *, protocol: str) -> list[Line]:
    return [line for line in lines if line.dataset == dataset and line.protocol.partition("#")[0] == protocol]


def _cell(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    rank1, mean_ap = [line.rank1 for line in lines], [line.mAP for line in lines]
    return f"{statistics.fmean(rank1):.1f} / {statistics.fmean(mean_ap):.1f}"


def _groups(table: Table) -> dict[str, list[int]]:
    """Return the paper's columns by what they were measured on, for example "PRCC" for "PRCC R-1" and "PRCC mAP"."""
    groups: dict[str, list[int]] = {}
    for place, column in enumerate(table.columns):
        groups.setdefault(column.rpartition(" ")[0], []).append(place)

    def words(found: list[int]) -> str:
        return " / ".join(table.columns[place].rpartition(" ")[2] for place in found)

    return {f"{what} {words(found)}".strip(): found for what, found in groups.items()}


def _printed(row: Row, columns: Sequence[int]) -> str:
    """Return figures of the paper, "?" for one that cannot be read; nothing where the row has none."""
    if not row.figures:
        return ""
    return " / ".join("?" if row.figures[place] is None else f"{row.figures[place]}" for place in columns)


def _full(method: str, table: Table) -> Row | None:
    """Return the row of the whole method, its settings all at their defaults, with which the others are compared."""
    whole = method_settings(method, {})
    plain = [row for row in table.rows if method_settings(method, dict(row.settings)) == whole and not row.overrides]
    return plain[-1] if plain and table.columns else None


def _against(method: str, table: Table, *, row: Row, full: Row, lines: Sequence[Line]) -> Against:
    if row is full:
        return Against()
    place = _paper_column(method, table)
    paper = None
    if place is not None and row.figures and full.figures:
        this, whole = row.figures[place], full.figures[place]
        paper = None if this is None or whole is None else this - whole
    protocol = TOPICS.get(method, OCCLUDED)
    own = [line for dataset in ("world-default", "world-small") for line in _of(lines, dataset, protocol=protocol)]
    of = {label: [line.mAP for line in own if line.row == label] for label in (row.label, full.label)}
    if not all(of.values()):
        return Against("" if paper is None else f"{paper:+.1f}")
    datasets = {line.dataset for line in own}
    own = [line for line in own if line.dataset == ("world-default" if "world-default" in datasets else "world-small")]
    of = {label: [line.mAP for line in own if line.row == label] for label in (row.label, full.label)}
    ours = statistics.fmean(of[row.label]) - statistics.fmean(of[full.label])
    direction = ""
    runs = min(map(len, of.values()))
    if runs >= RUNS_FOR_A_DIRECTION and paper:
        noise = sum(statistics.variance(values) / len(values) for values in of.values()) ** 0.5
        direction = "not clear" if abs(ours) <= 2 * noise else "the same" if ours * paper > 0 else "the opposite"
    return Against("" if paper is None else f"{paper:+.1f}", f"{ours:+.1f}", direction)


def _paper_column(method: str, table: Table) -> int | None:
    """Return the paper's mAP that stands for what the method is about: occluded data first, changed clothes last."""
    found = [place for place, column in enumerate(table.columns) if column.endswith("mAP")]
    return None if not found else found[-1 if method == "cre" else 0]


def _caption(table: Table, lines: Sequence[Line], *, method: str) -> str:
    title = f"{table.title}." + (f" Paper on {table.dataset}." if table.columns else "")
    about = f" {table.about}" if table.about else ""
    if not lines:
        return f"*{title} Not measured yet.{about}*"
    start, backbone, epochs = lines[0].series
    seeds = sorted({len({x.seed for x in lines if x.row == row}) for row in {line.row for line in lines}})
    runs = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    device = ", ".join(sorted({line.device for line in lines}))
    topic = TOPICS.get(method, OCCLUDED)
    length = f"{epochs} epoch{'s' if epochs > 1 else ''}"
    start = start.partition(" (")[0]  # the CSV says all of it
    text = f"Rank-1 / mAP in percent; {backbone} from {start}, {length}, seeds: {runs}, {device}."
    if _full(method, table) is not None:
        text += f" Δ mAP to the row of the whole method, ours under {topic}."
    return f"*{title} {text}{about}*"
