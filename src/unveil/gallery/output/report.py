"""The report of a search, for people (HTML) and programs (CSV, JSON): who was looked for, how, and what was found."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from unveil.atomic_io import write_text
from unveil.attributes.words import words
from unveil.data.images import read_image
from unveil.errors import ImageError, UnveilError
from unveil.gallery.output.blur import blur_faces as blurred
from unveil.gallery.output.blur import face_parser
from unveil.gallery.output.timeline import candidates, duration, impossible, iso, sightings, time_text, transitions
from unveil.gallery.search.records import Hit, SearchResult
from unveil.report.answer import Answer, Crop, Match, image_of
from unveil.report.page import Panel, write_page
from unveil.report.spreadsheet import cell
from unveil.report.timeline import Mark, timeline_image

COLUMNS = (
    "rank", "id", "key", "kind", "camera", "time", "end", "time_iso", "end_iso", "distance", "probability", "reason",
    "person", "source", "frame", "box", "tags", "visible", "crops", "looks",
)  # fmt: skip


def write_report(
    found: SearchResult,
    images: Sequence[np.ndarray],
    *,
    path: Path,
    blur_faces: bool = True,
    title: str = "Search",
    distances: Mapping[frozenset[str], float] | None = None,
) -> None:
    """Write a report; its kind follows from the ending of the name.

    Args:
        found: the answer of a search.
        images: crops of the query ``(H, W, 3)`` uint8 RGB; only a page shows them.
        path: file to write: ``.html`` (one file that needs nothing else), ``.csv`` or ``.json``.
        blur_faces: whether faces of query and hits are made unrecognisable; CSV and JSON hold no image.
        title: heading of the page.
        distances: metres between pairs of cameras, to flag sightings that are too far apart for one person.

    Raises:
        MissingExtraError: what draws pages is not installed.
        UnveilError: another ending, or the file cannot be written.
    """
    if path.suffix == ".html":
        _page(found, images, path=path, blur_faces=blur_faces, title=title, distances=distances)
    elif path.suffix == ".csv":
        write_text(path, _csv(found))
    elif path.suffix == ".json":
        write_text(path, json.dumps(report_dict(found, distances), indent=2) + "\n")
    else:
        raise UnveilError(f"{path}: a report ends in .html, .csv or .json")


def report_dict(found: SearchResult, distances: Mapping[frozenset[str], float] | None = None) -> dict[str, Any]:
    """Return a report as plain values for JSON, without images."""
    seen = sightings(found)
    return {
        "model": found.model.to_dict(),
        "protocol": dict(found.protocol),
        "query_hash": found.query_hash,
        "candidates": found.candidates,
        "rescored": found.rescored,
        "milliseconds": round(found.milliseconds, 2),
        "calibrated": found.calibrated,
        "match": found.match,
        "threshold": found.threshold,
        "notes": list(found.notes),
        "hits": [row_of(rank, hit) | {"parts": hit.parts} for rank, hit in enumerate(found.hits, 1)],
        "sightings": [
            {"id": hit.item.id, "camera": hit.item.camera, "time": hit.item.time, "end": hit.item.end} for hit in seen
        ],
        "transitions": [asdict(one) for one in transitions(seen)],
        "impossible": [
            {"first": one.first.item.id, "second": one.second.item.id, "seconds": one.seconds, "words": one.words}
            for one in impossible(seen, distances=distances)
        ],
    }


def row_of(rank: int, hit: Hit) -> dict[str, Any]:
    """Return a result as plain values, without image and parts."""
    item = {name: value for name, value in asdict(hit.item).items() if name in COLUMNS}
    return item | {
        "rank": rank, "distance": hit.distance, "probability": hit.probability, "reason": hit.reason,
        "tags": list(hit.item.tags), "time_iso": iso(hit.item.time), "end_iso": iso(hit.item.end),
        "looks": words(hit.item.attributes),
    }  # fmt: skip


def _csv(found: SearchResult) -> str:
    parts = tuple(dict.fromkeys(name for hit in found.hits for name in hit.parts))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*COLUMNS, *(f"part {name}" for name in parts)))
    for rank, hit in enumerate(found.hits, 1):
        writer.writerow([*cells(rank, hit), *(hit.parts.get(part) for part in parts)])
    return out.getvalue()


def cells(rank: int, hit: Hit) -> list[Any]:
    """Return a result as the cells of a table with `COLUMNS`."""
    row = row_of(rank, hit) | {"tags": ";".join(hit.item.tags), "box": " ".join(map(str, hit.item.box or ()))}
    return [cell(row[name]) for name in COLUMNS]


def answer_of(found: SearchResult, images: Sequence[np.ndarray], *, blur_faces: bool = True) -> Answer:
    """Return queries and hits as a ranked list to draw; see `write_report` for the arguments."""
    shown = [_pixels(hit) for hit in found.hits]
    queries: list[np.ndarray] = list(images)
    if blur_faces:
        parser = face_parser()
        there = [n for n, pixels in enumerate(shown) if pixels is not None]
        for n, pixels in zip(there, blurred([p for p in shown if p is not None], parser), strict=True):
            shown[n] = pixels
        queries = blurred(queries, parser)
    matches = tuple(Match(_crop(h, p), h.distance, None, h.parts) for h, p in zip(found.hits, shown, strict=True))
    crops = tuple(Crop(image_of(q)) for q in queries) or (Crop(_missing, "no image"),)
    return Answer(crops, matches, _answer(found), " ".join(found.notes))


def _page(
    found: SearchResult,
    images: Sequence[np.ndarray],
    *,
    path: Path,
    blur_faces: bool,
    title: str,
    distances: Mapping[frozenset[str], float] | None,
) -> None:
    sections: list[Answer | Panel] = [answer_of(found, images, blur_faces=blur_faces), _hits_panel(found)]
    seen = sightings(found)
    with tempfile.TemporaryDirectory() as folder:
        if marked := seen or candidates(found):
            image = Path(folder) / "timeline.png"
            rank = {id(hit): n for n, hit in enumerate(found.hits, 1)}
            marks = [
                Mark(h.item.camera or "unknown", float(h.item.time or 0), h.item.end, str(rank[id(h)]), h.item.clock)
                for h in marked
            ]
            timeline_image(marks, image, named=time_text, joined=bool(seen))
            which = "matches and confirmed results" if seen else "all results, whoever they show"
            sections.append(Panel(f"Seen when and where ({which})", images=(image,)))
        if moves := transitions(seen):
            rows = tuple((w.start, w.end, str(w.times), duration(w.fastest)) for w in moves)
            sections.append(Panel("From camera to camera", head=("from", "to", "times", "fastest"), rows=rows))
        if wrong := impossible(seen, distances=distances):
            pairs = tuple((f"{rank[id(w.first)]} and {rank[id(w.second)]}", w.words) for w in wrong)
            sections.append(Panel("Not one person", head=("results", "because"), rows=pairs))
        sections.append(Panel("How it was searched", head=("what", ""), rows=tuple(found.protocol.items())))
        header = {
            "searched": f"{found.candidates} rows, {found.rescored} compared exactly, {found.milliseconds:.0f} ms",
            "model": str(found.model),
            "query": found.query_hash,
            "faces": "blurred" if blur_faces else "as recorded",
            "times": "UTC where they are dates, else since the recordings began",
        }
        write_page(sections, path, title=title, header=header)


def _hits_panel(found: SearchResult) -> Panel:
    rows = tuple(
        (
            str(rank), hit.item.camera or "", time_text(hit.item.time), f"{hit.distance:.4f}",
            "" if hit.probability is None else f"{hit.probability:.0%}", hit.reason, hit.item.source,
        )
        for rank, hit in enumerate(found.hits, 1)
    )  # fmt: skip
    return Panel("Why", head=("rank", "camera", "time", "distance", "probability", "reason", "source"), rows=rows)


def _answer(found: SearchResult) -> str:
    if found.match is None:
        return f"{len(found.hits)} rows, nearest first (not calibrated)"
    return f"{len(found.hits)} rows, nearest first" if found.match else "No match; the nearest rows"


def _crop(hit: Hit, pixels: np.ndarray | None) -> Crop:
    sure = None if hit.probability is None else f"{hit.probability:.0%}"
    words = (f"camera {hit.item.camera}" if hit.item.camera else "", time_text(hit.item.time), sure)
    return Crop(_missing if pixels is None else image_of(pixels), ", ".join(word for word in words if word))


def _pixels(hit: Hit) -> np.ndarray | None:
    try:
        return read_image(hit.item.thumbnail, name=f"row {hit.item.id}")
    except ImageError:
        return None


def _missing() -> np.ndarray:
    raise ImageError("the image of this row cannot be read")
