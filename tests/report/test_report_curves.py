"""What the curves draw, taken from the axes, and that an image comes out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unveil.errors import MissingExtraError, UnveilError
from unveil.evaluation.evaluate import Result
from unveil.report import curves
from unveil.report.curves import cmc_curve, training_curves

CURVE = tuple(np.linspace(0.25, 1, 50).tolist())
RESULT = Result("market", "0d65083e", "small", "abc", 4, 9, 0, {1: 0.25}, 0.5, 0.4, {}, curve=CURVE)
RECORDS: list[dict[str, Any]] = [
    {"iteration": 9, "epoch": 0, "lr": 0.1, "images_per_second": 50.0, "loss": 3.0, "id": 2.0},
    {"iteration": 9, "small/market/cmc-1": 0.5, "small/market/mAP": 0.4, "small/market/mINP": 0.1},
    {"iteration": 19, "epoch": 1, "lr": 0.01, "images_per_second": 50.0, "loss": 2.0, "id": 1.0},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Axes of the figures that were drawn."""
    found: list[Any] = []
    original = curves._figure

    @contextmanager
    def spy(*args: Any, **options: Any) -> Iterator[Any]:
        with original(*args, **options) as grid:
            found.extend(grid.flat)
            yield grid

    monkeypatch.setattr(curves, "_figure", spy)
    return found


def lines(axes: Any) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): [tuple(point) for point in line.get_xydata().tolist()] for line in axes.lines}


def test_cmc_curves_are_drawn_with_their_protocol(tmp_path: Path, drawn: list[Any]) -> None:
    cmc_curve([RESULT, RESULT], tmp_path / "cmc.png")
    assert Image.open(tmp_path / "cmc.png").size == (1440, 750)
    points = lines(drawn[0])["small market#0d65083e\nR-1 25.0 %, mAP 50.0 %"]
    assert points[0] == (1, 25) and points[-1] == (50, 100) and len(drawn[0].lines) == 2


def test_training_curves_have_losses_rate_and_figures(tmp_path: Path, drawn: list[Any]) -> None:
    training_curves(RECORDS, tmp_path / "curves.png")
    assert Image.open(tmp_path / "curves.png").size[0] == 1200
    losses, rate, figures = (lines(axes) for axes in drawn)
    assert losses == {"loss": [(9, 3), (19, 2)], "id": [(9, 2), (19, 1)]}
    assert rate == {"lr": [(9, 0.1), (19, 0.01)]}
    assert figures == {"small/market/cmc-1": [(9, 50)], "small/market/mAP": [(9, 40)]}


def test_panels_without_numbers_are_left_out(tmp_path: Path, drawn: list[Any]) -> None:
    training_curves([{"iteration": 1, "loss": 2.0, "note": "text"}], tmp_path / "curves.png")
    assert len(drawn) == 1 and list(lines(drawn[0])) == ["loss"]


@pytest.mark.parametrize("draw", [lambda p: cmc_curve([], p), lambda p: training_curves([{"iteration": 1}], p)])
def test_nothing_to_draw_is_said(tmp_path: Path, draw: Any) -> None:
    with pytest.raises(UnveilError, match="to draw"):
        draw(tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"unveil\[report\]"):
        cmc_curve([RESULT], tmp_path / "x.png")
