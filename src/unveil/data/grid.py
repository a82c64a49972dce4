"""GRID (QMUL underground): 250 people in two views and 775 gallery crops of others; ten random halves.

The grammar follows public readers of the set; it has not been seen on the real files.
"""

from __future__ import annotations

from pathlib import Path

from unveil.data.benchmark import Layout, assemble, sample_of
from unveil.data.listing import Names, filled, find_root
from unveil.data.random_splits import SplitNumber
from unveil.data.viper import train_persons
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
    notes=("splits are drawn here; those of features_and_partitions.mat are others",),
)


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``underground_reid/{probe,gallery}/PPPP_C_*.jpeg``; a figure is the mean of splits 0 to 9.

    Person 0000 of the gallery stands for 775 people without a probe: never a match.
    """
    place = find_root(root, tuple(LAYOUT.folders), LAYOUT.outer)
    names = Names(LAYOUT.pattern)
    found = [
        (path, part, match)
        for folder, part in LAYOUT.folders.items()
        for path, match in names.match(filled(place.path / folder), folder)
    ]
    people = {match["person"] for _, part, match in found if part == "query"}
    train = train_persons(people, split)
    samples: list[Sample] = []
    for path, part, match in found:
        where: Split = "train" if match["person"] in train else part
        samples.append(sample_of(place, path, where, {"person": match["person"], "camera": str(int(match["camera"]))}))
    return assemble(LAYOUT, place, samples, names.notes)
