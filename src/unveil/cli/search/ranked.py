"""Ranked lists as an image and as a page."""

from __future__ import annotations

from pathlib import Path

from unveil.gallery.search.ranked_lists import RankedList
from unveil.report.answer import Answer, Match, crop_of, same_person
from unveil.report.page import write_page
from unveil.report.sheet import ranked_sheet


def show(lists: list[RankedList], sheet: Path | None, page: Path | None, header: dict[str, str]) -> list[Path]:
    """Write the lists as an image and as a page, and return what was written."""
    answers = [_answer(ranked) for ranked in lists]
    if sheet is not None:
        ranked_sheet(answers, sheet, title="  ".join(f"{key} {value}" for key, value in header.items()))
    if page is not None:
        write_page(answers, page, title="Search", header=header)
    return [path for path in (sheet, page) if path is not None]


def _answer(ranked: RankedList) -> Answer:
    matches = tuple(
        Match(crop_of(hit.sample), hit.distance, same_person(ranked.queries, hit.sample), hit.parts)
        for hit in ranked.hits
    )
    return Answer(tuple(crop_of(sample) for sample in ranked.queries), matches, f"query {ranked.title}")
