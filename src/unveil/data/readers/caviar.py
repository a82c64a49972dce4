"""CAVIAR4REID: 72 people of a shopping centre, 50 of them in two views of ten crops; the names tell no view."""

from __future__ import annotations

from pathlib import Path

from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.readers.flat import scan
from unveil.data.readers.random_splits import SplitNumber
from unveil.data.readers.viper import train_persons
from unveil.records import Dataset, Protocol, Sample, Split

LAYOUT = Layout(
    "caviar",
    r"(?P<person>\d{4})(?P<index>\d{3})\.",
    outer=("CAVIARa", "CAVIAR4REID/CAVIARa", "CAVIAR4REID"),
    protocols=(
        Protocol("caviar", junk=(), shots=1, draws=10, about="view 1 searches one drawn crop of view 2; ten splits"),
    ),
    published={"images": 1220, "persons": 72, "query persons": 25, "gallery persons": 25},
    notes=("CAVIAR4REID names no view: crops 1-10 of a person with 20 are taken as view 1, crops 11-20 as view 2",),
)


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``CAVIAR4REID/CAVIARa/PPPPNNN.jpg``: 72 people, 50 of them in two views of ten crops."""
    place, files, notes = scan(LAYOUT, root)
    both = [person for person, matches in files.items() if any(int(m["index"]) > 10 for _, m in matches.values())]
    test = train_persons(both, split)
    samples: list[Sample] = []
    for person, matches in sorted(files.items()):
        for _, (path, match) in sorted(matches.items()):
            labels = {"person": person}
            if person in both:
                labels["camera"] = "1" if int(match["index"]) <= 10 else "2"
            part: Split = "train"
            if person in test:
                part = "query" if labels["camera"] == "1" else "gallery"
            samples.append(sample_of(place, path, split=part, labels=labels))
    return assemble(LAYOUT, place, samples=samples, notes=notes)
