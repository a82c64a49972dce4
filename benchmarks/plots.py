"""Writing a plot of a benchmark: the same figures give the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_svg(figure: Any, path: Path) -> None:
    """Write a figure of Matplotlib as SVG, without the date and with ids that do not change."""
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "unveil"}):
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
