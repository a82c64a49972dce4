"""The sheet, read back pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unveil.errors import UnveilError
from unveil.report import sheet as module
from unveil.report.answer import Answer, Crop, Match, image_of
from unveil.report.sheet import CELL, FRAME, FRAMES, GAP, MARGIN, ranked_sheet


def flat(colour: tuple[int, int, int], height: int = 64, width: int = 32) -> Crop:
    return Crop(image_of(np.full((height, width, 3), colour, np.uint8)), "camera 1")


def answer(states: list[bool | None], queries: int = 1, height: int = 64, width: int = 32) -> Answer:
    matches = tuple(Match(flat((0, 0, 255), height, width), 0.1 * n, same) for n, same in enumerate(states))
    return Answer((flat((255, 255, 0)),) * queries, matches)


def draw(tmp_path: Path, *answers: Answer, **settings: object) -> np.ndarray:
    ranked_sheet(answers, tmp_path / "sheet.png", **settings)  # type: ignore[arg-type]
    return np.asarray(Image.open(tmp_path / "sheet.png"))


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_frames_say_right_wrong_and_unknown(tmp_path: Path) -> None:
    pixels = draw(tmp_path, answer([True, False, None]))
    first = MARGIN + CELL[0] + 2 * GAP
    for n, same in enumerate((True, False, None)):
        left = first + n * (CELL[0] + GAP)
        cell = pixels[:, left - 2 : left + CELL[0] + 2]
        assert [state for state, colour in FRAMES.items() if count(cell, colour) > 500] == [same]
    assert count(pixels[:, : first - GAP - 2], (255, 255, 0)) > 10_000  # the query, without a frame


@pytest.mark.parametrize(("height", "width"), [(64, 32), (50, 50), (30, 90), (400, 40)])
def test_crops_keep_their_aspect(tmp_path: Path, height: int, width: int) -> None:
    pixels = draw(tmp_path, answer([None], height=height, width=width))
    rows, columns = np.nonzero((pixels == (0, 0, 255)).all(axis=2))
    shown = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert shown[0] / shown[1] == pytest.approx(height / width, rel=0.05)
    assert shown[0] == CELL[1] - 2 * FRAME or shown[1] == CELL[0] - 2 * FRAME


def test_matches_go_on_below_and_queries_below_each_other(tmp_path: Path) -> None:
    one_line = draw(tmp_path, answer([None] * 4))
    two_lines = draw(tmp_path, answer([None] * 4), per_line=2)
    two_queries = draw(tmp_path, answer([None] * 4), answer([None] * 4))
    assert two_lines.shape[1] < one_line.shape[1] and two_lines.shape[0] > one_line.shape[0]
    assert two_queries.shape[1] == one_line.shape[1] and two_queries.shape[0] > 1.7 * one_line.shape[0]
    assert count(two_lines, (0, 0, 255)) == count(one_line, (0, 0, 255))
    assert count(draw(tmp_path, answer([None], queries=3)), (255, 255, 0)) > 30_000


def test_titles_are_drawn_and_long_ones_shortened(tmp_path: Path) -> None:
    plain = draw(tmp_path, answer([None] * 3))
    titled = draw(tmp_path, answer([None] * 3), title="a" * 500 + "ü")
    assert titled.shape[0] == plain.shape[0] + 40 and titled.shape[1] == plain.shape[1]
    assert (titled[:, -MARGIN + 8 :] == titled[0, 0]).all()  # nothing runs over the edge
    assert module._shorten("folder/name.jpg", 10_000, size=12) == "folder/name.jpg"
    short = module._shorten("folder/of/a/long/name.jpg", 90, size=12)
    assert short.startswith("fold") and short.endswith("jpg") and "…" in short


def test_no_match_and_no_query_still_give_a_sheet(tmp_path: Path) -> None:
    assert draw(tmp_path, answer([])).size and draw(tmp_path).size


def test_a_sheet_of_too_many_queries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnveilError, match="a sheet of 5000 queries would have"):
        ranked_sheet([answer([None])] * 5000, tmp_path / "sheet.png")
    assert not list(tmp_path.iterdir())
