"""Looking at every file of a dataset: counts against the published ones, unreadable files, duplicates, gaps."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import Any

from unveil.data.listing import FileNote
from unveil.data.prefetch import in_threads
from unveil.data.store.build import BadFile, read_crop
from unveil.progress import track
from unveil.records import SPLITS, Dataset, Sample

COLUMNS = ("person", "camera", "clothes", "time", "tracklet", "parsing", "split")


@dataclass(frozen=True)
class Report:
    """What a check found.

    Args:
        dataset: name.
        counts: images, persons, cameras, clothes: of all and of each split ("train images").
        published: the counts of the paper, for some of them.
        unreadable: files that cannot be read, with reasons; images and parsing maps.
        duplicates: groups of keys whose files have the same bytes.
        across: those groups that lie in training and test, or show two persons: they spoil figures.
        single_camera: persons seen by one camera only, where cameras are known.
        unknown: column -> crops that lack it.
        notes: what the reader said.
        listed: note -> every file it speaks of: strange names, two files of one person and frame, missing maps.
    """

    dataset: str
    counts: dict[str, int]
    published: dict[str, int]
    unreadable: tuple[BadFile, ...]
    duplicates: tuple[tuple[str, ...], ...]
    across: tuple[tuple[str, ...], ...]
    single_camera: tuple[str, ...]
    unknown: dict[str, int]
    notes: tuple[str, ...]
    listed: dict[str, tuple[str, ...]]

    @property
    def differences(self) -> dict[str, tuple[int, int]]:
        """Counts that are not as published: name -> (found, published)."""
        pairs = {name: (self.counts.get(name, 0), count) for name, count in self.published.items()}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    @property
    def clean(self) -> bool:
        """Whether nothing was found that needs the user: gaps that many datasets have by design do not count."""
        return not (self.unreadable or self.duplicates or self.differences or self.listed)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, for JSON."""
        return dataclasses.asdict(self) | {"differences": self.differences, "clean": self.clean}

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (problem, file, detail) for every file that was found wanting."""
        found = [("unreadable", bad.key, bad.reason) for bad in self.unreadable]
        for group in self.duplicates:
            what = "same bytes, spoils figures" if group in self.across else "same bytes"
            found += [(what, key, f"as {group[0] if key != group[0] else group[1]}") for key in group]
        return found + [("said by the reader", file, note) for note, files in self.listed.items() for file in files]


def check_dataset(dataset: Dataset, workers: int | None = None) -> Report:
    """Read every file of a dataset and report on it.

    Args:
        dataset: what to check.
        workers: threads; all cores by default.
    """
    unreadable = []
    same: dict[str, list[Sample]] = defaultdict(list)
    found = in_threads(partial(read_crop, with_parsing=True), dataset.samples, workers=workers)
    for sample, crop in zip(dataset.samples, track(found, "reading", total=len(dataset.samples)), strict=True):
        if isinstance(crop, BadFile):
            unreadable.append(crop)
        else:
            same[crop.digest].append(sample)
    groups = [group for group in same.values() if len(group) > 1]
    unknown = {column: sum(getattr(s, column) is None for s in dataset.samples) for column in COLUMNS}
    return Report(
        dataset.name,
        counts(dataset),
        dict(dataset.published),
        tuple(unreadable),
        tuple(tuple(s.key for s in group) for group in groups),
        tuple(tuple(s.key for s in group) for group in groups if _spoils(group)),
        _single_camera(dataset),
        {column: count for column, count in unknown.items() if count},
        dataset.notes,
        {str(note): note.files for note in dataset.notes if isinstance(note, FileNote)},
    )


def counts(dataset: Dataset) -> dict[str, int]:
    """Return the numbers of images and of different labels: of all, and of each split that there is."""
    result = _counts("", dataset.samples)
    for split in SPLITS:
        result |= _counts(f"{split} ", dataset.subset(split))
    return result


def _counts(prefix: str, samples: tuple[Sample, ...]) -> dict[str, int]:
    if not samples:
        return {}
    labels = {"persons": "person", "cameras": "camera", "clothes": "clothes"}
    different = {name: len({getattr(s, column) for s in samples} - {None}) for name, column in labels.items()}
    return {f"{prefix}{name}": count for name, count in {"images": len(samples), **different}.items() if count}


def _spoils(group: list[Sample]) -> bool:
    sides = {sample.split == "train" for sample in group if sample.split is not None}
    return len(sides) > 1 or len({sample.person for sample in group}) > 1


def _single_camera(dataset: Dataset) -> tuple[str, ...]:
    cameras: dict[str, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        if sample.person is not None and sample.camera is not None:
            cameras[sample.person].add(sample.camera)
    return tuple(sorted(person for person, seen in cameras.items() if len(seen) == 1))
