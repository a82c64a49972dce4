"""Run a parser over a dataset into the project's own tree; a run that was stopped resumes where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from unveil.atomic_io import write_text
from unveil.data.images import read_sample
from unveil.data.parsing_tree import parsing_path
from unveil.data.prefetch import in_threads
from unveil.errors import DataError, ImageError
from unveil.label_sets import Scheme
from unveil.parsing.formats.schp import write_label_png
from unveil.progress import track
from unveil.records import Dataset, Sample

MADE_BY, SHARES = "parser.txt", "visibility.csv"


class Parser(Protocol):
    """Anything that turns crops into label maps."""

    scheme: Scheme
    fingerprint: str

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Return labels ``(H, W)`` for each ``(H, W, 3)`` uint8 RGB crop."""
        ...


@runtime_checkable
class ShareParser(Parser, Protocol):
    """A parser that also tells how much of each part shows."""

    parts: tuple[str, ...]

    def maps_and_shares(
        self, images: Sequence[NDArray[np.uint8]]
    ) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
        """Return the maps of `Parser`, and shares ``(N, parts)`` in [0, 1]."""
        ...


@dataclass(frozen=True)
class ParseReport:
    """Maps written, maps that were there, and images that could not be read (one sentence each)."""

    written: int
    kept: int
    unreadable: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is no map at all."""
        return self.written + self.kept == 0

    def __str__(self) -> str:
        return f"{self.written} maps written, {self.kept} were there, {len(self.unreadable)} images unreadable"


def parse_dataset(dataset: Dataset, parser: Parser, *, root: Path, batch: int = 16) -> ParseReport:
    """Write the map of every sample to ``<root>/parsing/<scheme>/<key>.png``.

    A parser that tells how much of each part shows adds a row a crop to ``visibility.csv`` beside the maps; where a run
    was stopped a crop may have two, which are the same.

    Args:
        dataset: what to parse; keys become paths.
        parser: what parses.
        root: where the tree stands, often the dataset's own root.
        batch: crops parsed at a time.

    Raises:
        DataError: the tree holds maps of another parser.
    """
    folder = root / "parsing" / parser.scheme.name
    _claim(folder, parser.fingerprint)
    todo = [s for s in dataset.samples if not parsing_path(root, parser.scheme.name, key=s.key).is_file()]
    unreadable: list[str] = []
    written = 0
    # Reading and writing overlap with inference.
    batches = [todo[start : start + batch] for start in range(0, len(todo), batch)]
    with closing(in_threads(_read, batches, workers=2, ahead=2)) as read, ThreadPoolExecutor(2) as pool:
        for samples, images, problems in track(read, "parsing", total=len(batches)):
            unreadable += problems
            paths = [parsing_path(root, parser.scheme.name, key=s.key) for s in samples]
            maps = _maps(parser, samples, images=images, table=folder / SHARES)
            written += len(list(pool.map(partial(write_label_png, scheme=parser.scheme), paths, maps)))
    return ParseReport(written, len(dataset.samples) - len(todo), tuple(unreadable))


def _maps(
    parser: Parser, samples: list[Sample], *, images: list[NDArray[np.uint8]], table: Path
) -> list[NDArray[np.uint8]]:
    """Return the maps of a batch; write its shares first, so that a crop with a map always has its row."""
    if not images:
        return []
    if not isinstance(parser, ShareParser) or not parser.parts:
        return parser(images)
    maps, shares = parser.maps_and_shares(images)
    new = not table.is_file()
    with table.open("a", newline="", encoding="utf-8") as f:
        rows = csv.writer(f, lineterminator="\n")
        if new:
            rows.writerow(("path", *parser.parts))
        for sample, row in zip(samples, shares, strict=True):
            rows.writerow((sample.key, *(f"{share:.3f}" for share in row)))
    return maps


def _read(samples: list[Sample]) -> tuple[list[Sample], list[NDArray[np.uint8]], list[str]]:
    read, images, problems = [], [], []
    for sample in samples:
        try:
            images.append(read_sample(sample))
            read.append(sample)
        except ImageError as e:
            problems.append(str(e))
    return read, images, problems


def _claim(folder: Path, fingerprint: str) -> None:
    made_by = folder / MADE_BY
    if made_by.is_file():
        before = made_by.read_text(encoding="utf-8", errors="replace").strip()
        if before != fingerprint:
            raise DataError(f"{folder} holds maps of {before}, not of {fingerprint}; choose another folder with --out")
    elif folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} holds maps of an unknown parser; choose another folder with --out")
    else:
        write_text(made_by, fingerprint + "\n")
