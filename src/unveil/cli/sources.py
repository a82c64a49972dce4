"""What a user may name as a source of crops: a dataset, a manifest, a folder, or a single image."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from unveil.data.text import is_file
from unveil.data.walk import LeftOutNote, walk
from unveil.datasets import READERS, load_dataset
from unveil.errors import DataError
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample


def crops_of(source: str | DataSource) -> Dataset:
    """Return the crops that a source names; what of a folder is left out is said on standard error.

    Args:
        source: ``name:root`` of a known dataset, a ``.csv`` manifest, a folder of images at any depth, or an image.

    Raises:
        DataError: there is nothing of that name, or no image in it.
    """
    path = Path(str(source))
    if isinstance(source, DataSource):
        dataset = load_dataset(source)
    elif is_dataset(source):
        dataset = load_dataset(DataSource.of(source))
    elif path.suffix.lower() == ".csv":
        dataset = load_dataset(DataSource(name="manifest", root=path))
    elif is_file(path):
        return Dataset(path.name, (Sample(path.name, path),))
    else:
        dataset = images_of(path)
    for note in dataset.notes:
        if isinstance(note, LeftOutNote):
            typer.echo(f"{source}: {note}", err=True)
    return dataset


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
