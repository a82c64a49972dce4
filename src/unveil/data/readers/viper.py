"""VIPeR (Gray et al., 2007): 632 people seen once by each of two cameras; ten seeded 316/316 splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from unveil.data.listing import Names, duplicate_frames, find_root
from unveil.data.readers.manifest import FILE, read_manifest
from unveil.errors import DataError
from unveil.records import Dataset, Protocol, Sample, Split

FOLDERS = {"cam_a": "1", "cam_b": "2"}
PATTERN = r"(\d+)_(\d+)\."
QUERY_CAMERA, GALLERY_CAMERA = FOLDERS.values()
SPLITS = 10
PROTOCOL = Protocol(
    "viper", junk=(), about="Camera 1 queries camera 2, half of the people, single shot; report the mean of ten splits."
)
PUBLISHED = {
    "images": 1264,
    "persons": 632,
    "train images": 632,
    "train persons": 316,
    "query images": 316,
    "query persons": 316,
    "gallery images": 316,
    "gallery persons": 316,
}


def read(root: Path, *, split: Annotated[int, Field(ge=0, lt=SPLITS)] = 0) -> Dataset:
    """Read VIPeR under one of its splits.

    Args:
        root: the folder with ``cam_a`` and ``cam_b``, or a manifest with person and camera ("1", "2"), or its folder.
        split: 0 to 9.

    Raises:
        DataError: neither layout is there, or a crop has no person or another camera.
    """
    if root.is_file() or (root / FILE).is_file():
        manifest = read_manifest(root if root.is_file() else root / FILE)
        samples, notes = manifest.samples, manifest.notes
        notes = tuple(note for note in notes if not note.startswith("split "))
    else:
        samples, notes = _published(root)
    return Dataset("viper", tuple(_divide(samples, split)), (PROTOCOL,), PUBLISHED, notes)


def train_persons(persons: Iterable[str], split: int) -> frozenset[str]:
    """Return the half of the people that a split trains on; the same for every spelling of the numbers."""
    ordered = sorted(set(persons), key=lambda person: (int(person) if person.isdecimal() else -1, person))
    order = np.random.default_rng(split).permutation(len(ordered))
    return frozenset(ordered[i] for i in order[: len(ordered) // 2])


def _published(root: Path) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    found = find_root(root, tuple(FOLDERS), outer=("VIPeR", "VIPeR.v1.0", "viper/VIPeR"))
    names = Names(PATTERN)
    samples = tuple(
        Sample(found.key(path), path, person=match[1], camera=camera, extra={"angle": match[2]})
        for folder, camera in FOLDERS.items()
        for path, match in names.scan(found.path / folder)
    )
    return samples, (*found.notes, *names.notes, *duplicate_frames([s.key for s in samples]))


def _divide(samples: Iterable[Sample], split: int) -> Iterable[Sample]:
    samples = tuple(samples)
    train = train_persons((s.person for s in samples if s.person is not None), split)
    sides: dict[str | None, Split] = {QUERY_CAMERA: "query", GALLERY_CAMERA: "gallery"}
    for sample in samples:
        if sample.person is None or sample.camera not in sides:
            raise DataError(
                f"viper: {sample.key}: expected a person and camera 1 or 2, "
                f"found person {sample.person!r}, camera {sample.camera!r}"
            )
        yield dataclasses.replace(sample, split="train" if sample.person in train else sides[sample.camera])
