"""Boxes that somebody else found: CSV with a header, MOT Challenge text, or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from unveil.data.text import is_file, read_text, with_slashes
from unveil.errors import DataError
from unveil.video.records import Box

MAX_BYTES = 512_000_000
NEEDED = ("frame", "x", "y", "width", "height")
MOT_COLUMNS = ("frame", "track", "x", "y", "width", "height", "score", "class", "visible")
UNKNOWN, PEDESTRIAN = -1.0, 1.0  # as MOT Challenge writes a score that nobody gave, and the class of people


class GivenBoxes:
    """Boxes by frame, and the track of each where the file names one.

    Args:
        path: ``.csv`` with the columns frame (from 0), x, y, width, height in pixels, and if wanted score, track (or
            person); without a header, or ``.txt``: MOT Challenge (frame from 1, track, x, y, width, height,
            score, class; of ground truth only people who count); ``.json``: a list of objects with the keys of the
            CSV. For images ``image`` may stand for frame: the name of the file, as far as it tells one image from the
            others.

    ``tracked`` says whether every box names its track, and ``people`` whether it does so by the name of a person.

    Raises:
        DataError: the file is missing, too large or malformed; names the line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._boxes: dict[int, list[Box]] = defaultdict(list)
        self._tracks: dict[int, list[str | None]] = defaultdict(list)
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        people = True
        for line, row in _rows(path):
            frame, box, track = _parse(path, line, row=self._numbered(line, row))
            people = people and not _name(row, "track")
            self._boxes[frame].append(box)
            self._tracks[frame].append(track)
        if not self._boxes:
            raise DataError(f"{path}: not one box in it")
        named = [track is not None for tracks in self._tracks.values() for track in tracks]
        if any(named) and not all(named):
            raise DataError(f"{path}: {named.count(False)} of {len(named)} boxes name no track; name all, or none")
        self.tracked = all(named)
        self.people = self.tracked and people

    def arrange(self, images: Sequence[Path] | None) -> None:
        """Find the images that the boxes name, so that boxes and tracks are asked for by number in this order.

        Args:
            images: in order; ``None`` when the boxes are for a video. Without names the boxes stand in this order.

        Raises:
            DataError: a name is that of no image or of several, or names stand where a video has frames.
        """
        if not self._names:
            return
        if images is None:
            raise DataError(f"{self.path}: names images ({self._names[0]}), and is to be used for a video")
        number = {name: _image_of(self.path, name, images=images) for name in self._names}
        for found in (self._boxes, self._tracks):
            moved = {number[name]: found[n] for n, name in enumerate(self._names) if n in found}
            found.clear()
            found.update(moved)  # type: ignore[arg-type]
        self._names = []

    def _numbered(self, line: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row with the number of its image among those named."""
        name = with_slashes(_name(row, "image") or "")
        if bool(name) != bool(self._names) and (self._names or self._boxes):
            raise DataError(f"{self.path}: line {line}: name the image on every line, or on none")
        if not name:
            return row
        if name not in self._places:
            self._places[name] = len(self._names)
            self._names.append(name)
        return {**row, "frame": self._places[name]}

    def boxes(self, frame: int) -> list[Box]:
        """Return the boxes of a frame, in the file's order."""
        return self._boxes.get(frame, [])

    def tracks(self, frame: int) -> list[str | None]:
        """Return the track of each box of a frame."""
        return self._tracks.get(frame, [])


def _image_of(path: Path, name: str, *, images: Sequence[Path]) -> int:
    """Return the number of the image whose path ends in a name."""
    parts = PurePosixPath(name).parts
    found = [n for n, image in enumerate(images) if image.parts[-len(parts) :] == parts]
    if len(found) != 1:
        what = "several images are" if found else "no image is"
        raise DataError(f"{path}: {what} called {name}")
    return found[0]


def _rows(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    if not is_file(path):
        raise DataError(f"{path}: no such file of boxes")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes; the limit for a file of boxes is {MAX_BYTES:,}")
    text = read_text(path, f"boxes with {', '.join(NEEDED)}")
    if path.suffix.lower() == ".json":
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as e:
            raise DataError(f"{path}: cannot be read as JSON: {e}") from None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise DataError(f"{path}: expected a list of objects with {', '.join(NEEDED)}")
        return list(enumerate(found, 1))
    lines = text.splitlines()
    if lines and not any(c.isalpha() for c in lines[0]):  # MOT has no header, counts from 1 and writes -1 for unknown
        try:
            table = [(n, row) for n, row in enumerate(csv.reader(lines), 1) if row]
        except csv.Error as e:
            raise DataError(f"{path}: not valid CSV: {e}") from None
        found = ((n, _from_mot(path, n, columns=row)) for n, row in table)
        return [(n, row) for n, row in found if row is not None]
    reader = csv.DictReader(lines, strict=True)
    try:
        there = reader.fieldnames or ()
        missing = [c for c in NEEDED if c not in there and not (c == "frame" and "image" in there)]
        if missing:
            raise DataError(f"{path}: the column {missing[0]!r} is missing; needed are {', '.join(NEEDED)}")
        return list(enumerate(reader, 2))
    except csv.Error as e:
        raise DataError(f"{path}: line {reader.line_num}: not valid CSV: {e}") from None


def _from_mot(path: Path, line: int, *, columns: list[str]) -> dict[str, Any] | None:
    """Return a line of MOT Challenge text; ``None`` where the ground truth says that it is no person, or not counted.

    Its class is a positive number (1 is a pedestrian). In lines of ten columns those from the eighth on are a place in
    the world.
    """
    row: dict[str, Any] = dict(zip(MOT_COLUMNS, columns, strict=False))
    try:
        row["frame"] = int(float(row["frame"])) - 1
        score = float(row.get("score") or UNKNOWN)
        kind = float(row.get("class") or UNKNOWN) if len(columns) <= len(MOT_COLUMNS) else UNKNOWN
    except (ValueError, OverflowError):
        raise DataError(f"{path}: line {line}: expected numbers, found {row}") from None
    if kind > 0 and (kind != PEDESTRIAN or score == 0):
        return None
    score = 1.0 if score == UNKNOWN else score
    return row | {"track": None if row.get("track") in ("-1", "") else row.get("track"), "score": max(0.0, score)}


def _parse(path: Path, line: int, *, row: Mapping[str, Any]) -> tuple[int, Box, str | None]:
    try:
        frame = int(row["frame"])
        values = [float(row[c]) for c in NEEDED[1:]]
        score = float(row["score"]) if row.get("score") not in (None, "") else 1.0
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DataError(f"{path}: line {line}: expected numbers for {', '.join(NEEDED)}, found {dict(row)}") from None
    if frame < 0 or not all(map(math.isfinite, (*values, score))) or values[2] <= 0 or values[3] <= 0:
        raise DataError(f"{path}: line {line}: expected frame >= 0, width and height > 0, found {dict(row)}")
    x, y, width, height = values
    return frame, Box(x, y, width, height, min(1.0, max(0.0, score))), _name(row, "track") or _name(row, "person")


def _name(row: Mapping[str, Any], key: str) -> str | None:
    """Return what a row names by a key, ``None`` where it names nothing; in JSON it may be a number, 0 too."""
    value = row.get(key)
    return None if value in (None, "") else str(value)
