"""i-LIDS (QMUL, 119 people of an airport): no cameras in the names; two drawn crops of each test person.

The filename pattern follows public readers of the set; it has not been seen on the real files.
"""

from __future__ import annotations

from pathlib import Path

from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.readers.flat import scan
from unveil.data.readers.random_splits import SplitNumber, draw
from unveil.data.readers.viper import train_persons
from unveil.records import Dataset, Protocol, Sample, Split

LAYOUT = Layout(
    "ilids",
    r"(?P<person>\d{4})(?P<index>\d{3})\.",
    outer=("Persons", "i-LIDS_Pedestrian/Persons", "ilids/i-LIDS_Pedestrian/Persons"),
    protocols=(
        Protocol("ilids", junk=(), about="two drawn crops of each test person, one searches the others; ten splits"),
    ),
    published={"query images": 60, "query persons": 60, "gallery images": 60, "gallery persons": 60},
)


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``i-LIDS_Pedestrian/Persons/PPPPNNN.jpg``: 119 people, 476 crops."""
    place, files, notes = scan(LAYOUT, root)
    train = train_persons(files, split)
    samples: list[Sample] = []
    for person, matches in sorted(files.items()):
        drawn = draw(sorted(matches), 2, split=split, what=f"ilids/{person}") if len(matches) > 1 else []
        for name, (path, _) in sorted(matches.items()):
            part: Split | None = "train" if person in train else None
            if part is None and name in drawn:
                part = "query" if name == drawn[0] else "gallery"
            samples.append(sample_of(place, path, split=part, labels={"person": person}))
    return assemble(LAYOUT, place, samples=samples, notes=notes)
