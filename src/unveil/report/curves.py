"""CMC curves of evaluations and the curves of a training run, as PNG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unveil.atomic_io import atomic_path
from unveil.errors import MissingExtraError, UnveilError
from unveil.evaluation.evaluate import Result

COLOURS = ("#2b6cb0", "#d9822b", "#2f855a", "#b83280", "#6b46c1", "#718096", "#975a16", "#0e7490")
# Not losses: what else a record of an epoch holds.
BESIDES = frozenset({"iteration", "epoch", "lr", "images_per_second", "peak_gpu_bytes", "peak_resident_bytes"})


def cmc_curve(results: Sequence[Result], path: Path) -> None:
    """Draw one CMC curve a result.

    Args:
        results: evaluations; their names tell the protocol.
        path: PNG to write.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UnveilError: there is no result, or the image cannot be written.
    """
    if not results:
        raise UnveilError("no CMC curve to draw: there is no result")
    with _figure(path, 1, columns=1, inches=(9.6, 5.0)) as ((axes,),):
        for n, result in enumerate(results):
            name = " ".join(part for part in (result.dataset, result.protocol) if part)
            label = f"{name}#{result.protocol_hash}{', re-ranked' if result.reranked else ''}"
            label += f"\nR-1 {100 * result.curve[0]:.1f} %, mAP {100 * result.mean_ap:.1f} %"
            ranks = range(1, len(result.curve) + 1)
            axes.plot(ranks, [100 * v for v in result.curve], color=COLOURS[n % len(COLOURS)], label=label, lw=2)
        axes.set(xlabel="rank", ylabel="queries with a match up to this rank (%)", title="CMC", ylim=(None, 100.5))
        axes.set_xlim(1, max(len(result.curve) for result in results))
        # Beside the curves: some protocol's lies in every corner.
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8, labelspacing=0.8)


def training_curves(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw losses, learning rate and test figures over a run.

    Args:
        records: lines of the run's metrics, in order; an ``iteration`` in each, with the losses and ``lr`` of an epoch
            or figures named "dataset/protocol/figure".
        path: PNG to write.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UnveilError: no record holds a number, or the image cannot be written.
    """
    series = _series(records)
    panels = {
        "loss": {name: points for name, points in series.items() if "/" not in name and name not in BESIDES},
        "learning rate": {"lr": series["lr"]} if "lr" in series else {},
        "test figures (%)": {
            name: [(x, 100 * y) for x, y in points]
            for name, points in series.items()
            if name.endswith(("/cmc-1", "/mAP"))
        },
    }
    panels = {name: lines for name, lines in panels.items() if lines}
    if not panels:
        raise UnveilError("no training curve to draw: the metrics hold no losses and no figures")
    with _figure(path, len(panels), columns=1, inches=(8.0, 2.9 * len(panels) + 0.4)) as rows:
        for (axes,), (name, lines) in zip(rows, panels.items(), strict=True):
            for n, (label, points) in enumerate(lines.items()):
                marker = "o" if len(points) < 40 else None
                axes.plot(*zip(*points, strict=True), color=COLOURS[n % len(COLOURS)], label=label, marker=marker, ms=3)
            axes.set_ylabel(name)
            if name == "learning rate":
                axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
            else:
                axes.legend(frameon=False, fontsize=8)
        rows[-1][0].set_xlabel("iteration")


def grid_of_curves(
    panels: Sequence[Sequence[Mapping[str, Sequence[tuple[float, float]]]]],
    path: Path,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    across: str,
) -> None:
    """Draw panels in rows and columns; lines of one name have one colour everywhere.

    Args:
        panels: ``panels[row][column]`` maps the name of a line to its points (x, y).
        path: PNG to write.
        rows: names of the y axes.
        columns: titles of the columns.
        across: name of the x axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UnveilError: there is no line, or the image cannot be written.
    """
    names = list(dict.fromkeys(name for row in panels for panel in row for name in panel))
    if not names:
        raise UnveilError("no curve to draw: there is no line")
    with _figure(
        path, len(rows), columns=len(columns), inches=(3.4 * len(columns) + 0.8, 2.7 * len(rows) + 0.5)
    ) as grid:
        for y, row in enumerate(panels):
            for x, panel in enumerate(row):
                for name, points in panel.items():
                    colour = COLOURS[names.index(name) % len(COLOURS)]
                    grid[y][x].plot(*zip(*points, strict=True), color=colour, label=name, marker="o", ms=3)
                grid[y][x].set_ylim(0, 1.05 * max(p[1] for other in row for points in other.values() for p in points))
        for axes, name in zip(grid[:, 0], rows, strict=True):
            axes.set_ylabel(name)
        for axes, name in zip(grid[0], columns, strict=True):
            axes.set_title(name)
        for axes in grid[-1]:
            axes.set_xlabel(across)
        grid[0][-1].legend(frameon=False, fontsize=8, loc="upper right")


def _series(records: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    out: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for name, value in record.items():
            if name not in ("iteration", "epoch") and isinstance(value, int | float):
                out.setdefault(name, []).append((record["iteration"], value))
    return out


@contextmanager
def _figure(path: Path, rows: int, *, columns: int, inches: tuple[float, float]) -> Iterator[Any]:
    """Give axes in rows and columns, and write them when the block ends well; no display and no global state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("a curve", "report") from None
    figure = Figure(figsize=inches, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes in grid.flat:
        axes.grid(color="#e3e6ea", lw=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
    yield grid
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, format="png", dpi=150)
