"""3DPeS: people in several sequences, which are not cameras; a crop never counts as found by its own sequence."""

from __future__ import annotations

from pathlib import Path

from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.readers.flat import scan
from unveil.data.readers.random_splits import SplitNumber, draw
from unveil.data.readers.viper import train_persons
from unveil.records import Dataset, Protocol, Sample, Split

LAYOUT = Layout(
    "3dpes",
    r"(?P<person>\d+)_(?P<tracklet>\d+)_FRAME_\d+(?:_RGB)?\.",
    outer=("RGB", "3DPeS/RGB", "3DPeS", "images"),
    protocols=(Protocol("3dpes", junk=("same_tracklet",), about="one drawn sequence searches the others; ten splits"),),
    published={"images": 1011, "persons": 192},
)


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``3DPeS/RGB/P_S_FRAME_N_RGB.bmp``: person, sequence; the sequences of a person are not cameras.

    Half of the people train. Of the others, one drawn sequence searches; the rest, and people of one sequence, are
    the gallery.
    """
    place, files, notes = scan(LAYOUT, root)
    train = train_persons(files, split)
    samples: list[Sample] = []
    for person, matches in sorted(files.items()):
        sequences = sorted({match["tracklet"] for _, match in matches.values()})
        searching = draw(sequences, 1, split=split, what=f"3dpes/{person}") if len(sequences) > 1 else []
        for _, (path, match) in sorted(matches.items()):
            part: Split = "query" if match["tracklet"] in searching else "gallery"
            if person in train:
                part = "train"
            labels = {"person": person, "tracklet": f"{person}_{match['tracklet']}"}
            samples.append(sample_of(place, path, split=part, labels=labels))
    return assemble(LAYOUT, place, samples=samples, notes=notes)
