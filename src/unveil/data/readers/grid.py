"""GRID (QMUL underground): 250 people in two views and 775 gallery crops of others; ten random halves.

The filename pattern, and that of ``features_and_partitions.mat``, follow public readers of the set; neither has been
seen on the real files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from unveil.data.listing import Names, find_root, require_images
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.readers.matlab import read_mat
from unveil.data.readers.random_splits import SplitNumber
from unveil.data.readers.viper import SPLITS, train_persons
from unveil.errors import DataError
from unveil.records import Dataset, Protocol, Sample, Split

LAYOUT = Layout(
    "grid",
    r"(?P<person>\d{4})_(?P<camera>\d+)_",
    folders={"probe": "query", "gallery": "gallery"},
    outer=("underground_reid", "grid/underground_reid", "GRID"),
    protocols=(Protocol("grid", junk=(), about="125 test people, 775 other gallery crops; ten splits"),),
    published={
        "train images": 250,
        "train persons": 125,
        "query images": 125,
        "query persons": 125,
        "gallery images": 900,
    },
)
PARTITIONS = "features_and_partitions.mat"


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``underground_reid/{probe,gallery}/PPPP_C_*.jpeg``; a figure is the mean of splits 0 to 9.

    The splits are the published ones of ``features_and_partitions.mat`` where that file is there; else they are drawn,
    and a note says so. Person 0000 of the gallery stands for 775 people without a probe: never a match.

    Raises:
        DataError: the published partitions do not fit the probes.
        MissingExtraError: they need SciPy.
    """
    place = find_root(root, tuple(LAYOUT.folders), outer=LAYOUT.outer)
    names = Names(LAYOUT.pattern)
    found = [
        (path, part, match)
        for folder, part in LAYOUT.folders.items()
        for path, match in names.match(require_images(place.path / folder), folder)
    ]
    people = {match["person"] for _, part, match in found if part == "query"}
    file = place.path / PARTITIONS
    if file.is_file():
        train, said = _published(file, people, split=split), f"splits are the published ones of {PARTITIONS}"
    else:
        train = train_persons(people, split)
        said = f"{PARTITIONS} is not there: splits are drawn here, so figures differ from those on the published ones"
    samples: list[Sample] = []
    for path, part, match in found:
        where: Split = "train" if match["person"] in train else part
        samples.append(
            sample_of(place, path, split=where, labels={"person": match["person"], "camera": str(int(match["camera"]))})
        )
    return assemble(LAYOUT, place, samples=samples, notes=(*names.notes, said))


def _published(file: Path, people: set[str], *, split: int) -> frozenset[str]:
    """Return the probes that a published split trains on.

    ``trainIdxAll`` holds a cell a split with a structure in it; one of its fields lists the numbers of half the probes.
    """
    said = f"the file of GRID's published partitions (trainIdxAll with {SPLITS} splits)"
    number_of = {int(person): person for person in people}
    cells = np.atleast_1d(np.squeeze(read_mat(file, ("trainIdxAll",), expected=said)["trainIdxAll"])).ravel()
    if split >= len(cells):
        raise DataError(f"{file} is not {said}: it has {len(cells)}")
    try:
        lists = _numbers(cells[split])
    except (TypeError, ValueError, OverflowError, RecursionError) as e:
        raise DataError(f"{file} is not {said}: {e}") from None
    fit = [found for found in lists if len(set(found)) == len(people) // 2 and set(found) <= set(number_of)]
    if not fit:
        sizes = ", ".join(str(len(found)) for found in lists) or "none"
        raise DataError(
            f"{file}: no list of split {split} names half of the {len(people)} probes (lengths of its lists: {sizes}); "
            "remove the file to draw splits here"
        )
    return frozenset(number_of[number] for number in fit[-1])


def _numbers(value: Any) -> list[list[int]]:
    """Return the lists of whole numbers inside cells and structures, in order."""
    array = np.asarray(value)
    if array.dtype.names:
        return [found for name in array.dtype.names for found in _numbers(array[name])]
    if array.dtype == object:
        return [found for inner in array.ravel() for found in _numbers(inner)]
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        return []
    return [[int(number) for number in array.ravel()]]
