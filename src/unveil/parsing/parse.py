"""Run a parser over a dataset into the project's own tree; a run that was stopped goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unveil.data.images import read_sample
from unveil.data.parsing_tree import parsing_path
from unveil.errors import DataError, ImageError
from unveil.files import write_text
from unveil.parsing.labels import Scheme
from unveil.parsing.schp import write_label_png
from unveil.progress import track
from unveil.records import Dataset, Sample

MADE_BY = "parser.txt"


class Parser(Protocol):
    """Anything that turns crops into label maps."""

    scheme: Scheme
    fingerprint: str

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        """Return labels ``(H, W)`` for each ``(H, W, 3)`` uint8 RGB crop."""
        ...


@dataclass(frozen=True)
class ParseReport:
    """Maps written, maps that were there, and images that could not be read (one sentence each)."""

    written: int
    kept: int
    unreadable: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.written} maps written, {self.kept} were there, {len(self.unreadable)} images unreadable"


def parse_dataset(dataset: Dataset, parser: Parser, root: Path, batch: int = 16) -> ParseReport:
    """Write the map of every sample to ``<root>/parsing/<scheme>/<key>.png``.

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
    todo = [s for s in dataset.samples if not parsing_path(root, parser.scheme.name, s.key).is_file()]
    unreadable: list[str] = []
    written = 0
    with ThreadPoolExecutor(2) as pool:
        # Reading and writing overlap with inference; two batches are decoded ahead.
        batches = [todo[start : start + batch] for start in range(0, len(todo), batch)]
        for samples, images in track(_decoded(batches, pool, unreadable), "parsing", total=len(batches)):
            paths = [parsing_path(root, parser.scheme.name, s.key) for s in samples]
            maps = parser(images) if images else []
            written += len(list(pool.map(write_label_png, paths, maps, [parser.scheme] * len(maps))))
    return ParseReport(written, len(dataset.samples) - len(todo), tuple(unreadable))


def _decoded(
    batches: list[list[Sample]], pool: ThreadPoolExecutor, unreadable: list[str]
) -> Iterator[tuple[list[Sample], list[NDArray[np.uint8]]]]:
    rest = iter(batches)
    ahead = [(samples, pool.submit(_read, samples)) for samples in islice(rest, 2)]
    while ahead:
        _, future = ahead.pop(0)
        for samples in islice(rest, 1):
            ahead.append((samples, pool.submit(_read, samples)))
        samples, images, problems = future.result()
        unreadable += problems
        yield samples, images


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
        before = made_by.read_text(encoding="utf-8").strip()
        if before != fingerprint:
            raise DataError(f"{folder} holds maps of {before}, not of {fingerprint}; choose another folder with --out")
    elif folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} holds maps of an unknown parser; choose another folder with --out")
    else:
        write_text(made_by, fingerprint + "\n")
