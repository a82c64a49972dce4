"""A line for each camera, a mark for each sighting, time from left to right, as PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unveil.atomic_io import atomic_path
from unveil.errors import MissingExtraError, UnveilError

COLOUR, PALE = "#2b6cb0", "#a0aab4"
MAX_LABELS = 40
TALLEST = 40  # cameras with a line of their own


@dataclass(frozen=True)
class Mark:
    """Somebody in a camera, from ``start`` to ``end`` (``None``: one time), seconds of a clock.

    ``label`` is written beside.
    """

    camera: str
    start: float
    end: float | None = None
    label: str = ""
    clock: str = ""


def timeline_image(
    marks: Sequence[Mark], path: Path, *, named: Callable[[float], str] = "{:g} s".format, joined: bool = False
) -> None:
    """Draw the image.

    Args:
        marks: at least one.
        path: PNG to write.
        named: how a timestamp is written.
        joined: draw a thin line from each mark to the next of its clock in time: they are all of one person.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UnveilError: there is no mark, or the image cannot be written.
    """
    if not marks:
        raise UnveilError("no timeline to draw: there is no sighting")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise MissingExtraError("a timeline", "report") from None
    marks = sorted(marks, key=lambda mark: mark.start)
    cameras = sorted({mark.camera for mark in marks})
    row = {camera: min(n, TALLEST) for n, camera in enumerate(cameras)}
    names = cameras[:TALLEST] + ([f"{len(cameras) - TALLEST} more"] if len(cameras) > TALLEST else [])
    figure = Figure(figsize=(10, 1.2 + 0.38 * len(names)), layout="constrained")
    axes = figure.subplots()
    for clock in sorted({mark.clock for mark in marks}) if joined else ():
        own = [mark for mark in marks if mark.clock == clock]
        axes.plot([m.start for m in own], [row[m.camera] for m in own], color=PALE, lw=1, zorder=1)
    for mark in marks:
        axes.plot(
            [mark.start, mark.end or mark.start], [row[mark.camera]] * 2, color=COLOUR, lw=6, solid_capstyle="round"
        )
    for mark in marks[:MAX_LABELS]:
        at = (mark.start, row[mark.camera])
        axes.annotate(mark.label, at, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.8)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(lambda value, _: named(value))
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))
