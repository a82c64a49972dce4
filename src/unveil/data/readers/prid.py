"""PRID 2011, single shot: 385 people in view A, 749 in view B, the first 200 in both; ten random halves of the 200.

The filename pattern follows public readers of the set; it has not been seen on the real files.
"""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import Names, find_root, require_images
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.readers.random_splits import SplitNumber
from unveil.data.readers.viper import train_persons
from unveil.records import Dataset, Protocol, Sample, Split

SHARED = 200
_VIEWS = {"single_shot/cam_a": "a", "single_shot/cam_b": "b"}
LAYOUT = Layout(
    "prid",
    r"person_(?P<person>\d+)",
    outer=("prid_2011", "prid2011/prid_2011", "prid2011"),
    protocols=(Protocol("prid", junk=(), about="view A searches view B: 100 test people and 549 others; ten splits"),),
    published={
        "train images": 200,
        "train persons": 100,
        "query images": 100,
        "query persons": 100,
        "gallery images": 649,
        "gallery persons": 649,
    },
    notes=("PRID 2011 comes without lists of splits: the ten halves are drawn here",),
)


def read(root: Path, *, split: SplitNumber = 0) -> Dataset:
    """Read ``prid_2011/single_shot/{cam_a,cam_b}/person_NNNN.png``; a figure is the mean of splits 0 to 9.

    People of one view alone are others than those of the same number in the other view.
    """
    place = find_root(root, tuple(_VIEWS), outer=LAYOUT.outer)
    names = Names(LAYOUT.pattern)
    found = [
        (path, camera, int(match["person"]))
        for folder, camera in _VIEWS.items()
        for path, match in names.match(require_images(place.path / folder), folder)
    ]
    views = [{person for _, camera, person in found if camera == view} for view in "ab"]
    shared = [str(person) for person in views[0] & views[1] if person <= SHARED]
    train = train_persons(shared, split)
    samples: list[Sample] = []
    for path, camera, number in found:
        person = str(number) if str(number) in shared else f"{camera}{number}"
        part: Split | None = "gallery" if camera == "b" else None
        if person in train:
            part = "train"
        elif person in shared and camera == "a":
            part = "query"
        samples.append(sample_of(place, path, split=part, labels={"person": person, "camera": camera}))
    return assemble(LAYOUT, place, samples=samples, notes=names.notes)
