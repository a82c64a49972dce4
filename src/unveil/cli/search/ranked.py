"""Ranked lists as an image and as a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from unveil.gallery.output.blur import blur_faces, face_parser
from unveil.gallery.search.ranked_lists import RankedList
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Sample
from unveil.report.answer import Answer, Crop, Match, crop_of, same_person
from unveil.report.page import write_page
from unveil.report.sheet import ranked_sheet


def show(
    lists: list[RankedList], sheet: Path | None, page: Path | None, header: dict[str, str], *, blur: bool
) -> list[Path]:
    """Write the lists as an image and as a page, faces unrecognisable if wished, and return what was written."""
    if sheet is None and page is None:
        return []
    crop = _blurred(face_parser()) if blur else crop_of
    answers = [_answer(ranked, crop) for ranked in lists]
    if sheet is not None:
        ranked_sheet(answers, sheet, title="  ".join(f"{key} {value}" for key, value in header.items()))
    if page is not None:
        header |= {"faces": "blurred" if blur else "as recorded"}
        write_page(answers, page, title="Search", header=header)
    return [path for path in (sheet, page) if path is not None]


def _answer(ranked: RankedList, crop: Callable[[Sample], Crop]) -> Answer:
    matches = tuple(
        Match(crop(hit.sample), hit.distance, same_person(ranked.queries, hit.sample), hit.parts) for hit in ranked.hits
    )
    return Answer(tuple(crop(sample) for sample in ranked.queries), matches, f"query {ranked.title}")


def _blurred(parser: OnnxParser | None) -> Callable[[Sample], Crop]:
    """Return what `crop_of` is for crops that are blurred when they are drawn."""

    def blurred(sample: Sample) -> Crop:
        crop = crop_of(sample)
        return replace(crop, image=lambda: blur_faces([crop.image()], parser)[0])

    return blurred
