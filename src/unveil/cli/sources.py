"""What a user may name as a source of crops: a dataset, a manifest, a folder, or a single image."""

from __future__ import annotations

from pathlib import Path

from unveil.data.catalog import READERS, load_dataset
from unveil.data.listing import IMAGE_SUFFIXES
from unveil.errors import DataError
from unveil.recipe import DataSource
from unveil.records import Dataset, Sample


def crops_of(source: str) -> Dataset:
    """Return the crops that a source names.

    Args:
        source: ``name:root`` of a known dataset, a ``.csv`` manifest, a folder of images at any depth, or an image.

    Raises:
        DataError: there is nothing of that name, or no image in it.
    """
    path = Path(source)
    if source.partition(":")[0] in READERS and not path.exists():
        return load_dataset(DataSource.model_validate(source))
    if path.suffix.lower() == ".csv":
        return load_dataset(DataSource(name="manifest", root=path))
    if path.is_file():
        return Dataset(path.name, (Sample(path.name, path),))
    if not path.is_dir():
        raise DataError(f"{source}: neither a file, a folder, nor one of the datasets {', '.join(sorted(READERS))}")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    return Dataset(path.name, tuple(Sample(p.relative_to(path).as_posix(), p) for p in found))
