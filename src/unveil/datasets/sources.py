"""What a user may name as a source of crops: a dataset, a manifest, a folder, or a single image."""

from __future__ import annotations

import os
from pathlib import Path

from unveil.data.text import is_file
from unveil.data.walk import LeftOutNote, walk
from unveil.datasets import READERS, load_dataset
from unveil.errors import DataError
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample


def crops_of(source: str | DataSource) -> Dataset:
    """Return the crops that a source names; what of a folder is left out is among the notes of the dataset.

    Args:
        source: ``name:root`` of a known dataset, a ``.csv`` manifest, a folder of images at any depth, or an image.

    Raises:
        DataError: there is nothing of that name, or no image in it.
    """
    path = Path(str(source))
    if isinstance(source, DataSource):
        return load_dataset(source)
    if is_dataset(source):
        return load_dataset(DataSource.of(source))
    if path.suffix.lower() == ".csv":
        return load_dataset(DataSource(name="manifest", root=path))
    if is_file(path):
        return Dataset(path.name, (Sample(path.name, path),))
    return images_of(path)


def is_dataset(source: str) -> bool:
    """Return whether a source is ``name:root`` of a known dataset, and no file or folder of that very name."""
    return source.partition(":")[0] in READERS and not os.path.lexists(source)


def images_of(folder: Path) -> Dataset:
    """Return the images of a folder at any depth.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: neither a file, a folder, nor one of the datasets {', '.join(sorted(READERS))}")
    found = walk(folder)
    found.leave_out_videos()
    said = str(found.left_out)
    if not found.images:
        raise DataError(f"{folder}: no image was found{f' ({said})' if said else ''}")
    samples = tuple(Sample(p.relative_to(folder).as_posix(), p) for p in found.images)
    return Dataset(folder.name, samples, notes=(LeftOutNote(said, found.left_out),) if said else ())
