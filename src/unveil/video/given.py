"""Boxes that somebody else found: CSV with a header, MOT Challenge text, or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unveil.errors import DataError
from unveil.video.records import Box

MAX_BYTES = 512_000_000
NEEDED = ("frame", "x", "y", "width", "height")
MOT_COLUMNS = ("frame", "track", "x", "y", "width", "height", "score", "class", "visible")


class GivenBoxes:
    """Boxes by frame, and the track of each where the file names one.

    Args:
        path: ``.csv`` with the columns frame (from 0), x, y, width, height in pixels, and if wanted score, track (or
            person); without a header, or ``.txt``: MOT Challenge (frame from 1, track, x, y, width, height,
            score, ...); ``.json``: a list of objects with the keys of the CSV.

    ``tracked`` says whether every box names its track, and ``people`` whether it does so by the name of a person.

    Raises:
        DataError: the file is missing, too large or malformed; names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._boxes: dict[int, list[Box]] = defaultdict(list)
        self._tracks: dict[int, list[str | None]] = defaultdict(list)
        people = True
        for line, row in _rows(path):
            frame, box, track = _parse(path, line, row)
            people = people and not row.get("track")
            self._boxes[frame].append(box)
            self._tracks[frame].append(track)
        if not self._boxes:
            raise DataError(f"{path}: not one box in it")
        named = [track is not None for tracks in self._tracks.values() for track in tracks]
        if any(named) and not all(named):
            raise DataError(f"{path}: {named.count(False)} of {len(named)} boxes name no track; name all, or none")
        self.tracked = all(named)
        self.people = self.tracked and people

    def boxes(self, frame: int) -> list[Box]:
        """Return the boxes of a frame, in the file's order."""
        return self._boxes.get(frame, [])

    def tracks(self, frame: int) -> list[str | None]:
        """Return the track of each box of a frame."""
        return self._tracks.get(frame, [])


def _rows(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file of boxes")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes; the limit for a file of boxes is {MAX_BYTES:,}")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            found = json.loads(text)
            if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
                raise DataError(f"{path}: expected a list of objects with {', '.join(NEEDED)}")
            return list(enumerate(found, 1))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise DataError(f"{path}: cannot be read: {e}") from None
    lines = text.splitlines()
    if lines and not any(c.isalpha() for c in lines[0]):  # MOT has no header, counts from 1 and writes -1 for unknown
        cells = [(n, dict(zip(MOT_COLUMNS, row, strict=False))) for n, row in enumerate(csv.reader(lines), 1) if row]
        return [(n, _from_mot(path, n, row)) for n, row in cells]
    reader = csv.DictReader(lines)
    missing = [c for c in NEEDED if c not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"{path}: the column {missing[0]!r} is missing; needed are {', '.join(NEEDED)}")
    return list(enumerate(reader, 2))


def _from_mot(path: Path, line: int, row: dict[str, Any]) -> dict[str, Any]:
    try:
        row["frame"] = int(float(row["frame"])) - 1
        score = float(row.get("score") or 1)
    except ValueError:
        raise DataError(f"{path}: line {line}: expected numbers, found {row}") from None
    return row | {"track": None if row.get("track") in ("-1", "") else row.get("track"), "score": max(0.0, score)}


def _parse(path: Path, line: int, row: Mapping[str, Any]) -> tuple[int, Box, str | None]:
    try:
        frame = int(row["frame"])
        values = [float(row[c]) for c in NEEDED[1:]]
        score = float(row["score"]) if row.get("score") not in (None, "") else 1.0
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: line {line}: expected numbers for {', '.join(NEEDED)}, found {dict(row)}") from None
    if frame < 0 or not all(map(math.isfinite, (*values, score))) or values[2] <= 0 or values[3] <= 0:
        raise DataError(f"{path}: line {line}: expected frame >= 0, width and height > 0, found {dict(row)}")
    track = row.get("track") or row.get("person")
    x, y, width, height = values
    return frame, Box(x, y, width, height, min(1.0, max(0.0, score))), None if track in (None, "") else str(track)
