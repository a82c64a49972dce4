"""DeepChange (Xu and Zhu, 2021): 17 cameras over a year; a match may share the query's camera but not its tracklet.

Filename pattern as its public readers document it: folders ``{train-set,test-set-query,test-set-gallery}`` with names
``P<person>_C<camera>_<outfit>_*.jpg``, and ``<folder>-bbox.txt`` with lines ``name,tracklet``.
Not checked on the dataset itself.
"""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import Names, find_root, require_images
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.text import read_lines, with_slashes
from unveil.errors import DataError
from unveil.records import Dataset, Protocol, Sample

PROTOCOLS = (
    Protocol("deepchange", ("same_tracklet",), about="general: crops of the query's tracklet are junk"),
    Protocol("deepchange_cc", ("same_tracklet", "same_clothes"), about="cloth-changing: same outfit is junk as well"),
)
LAYOUT = Layout(
    "deepchange",
    r"P(?P<person>\d+)_?C(?P<camera>\d+)_(?P<outfit>[^_.]+)",
    folders={"train-set": "train", "test-set-query": "query", "test-set-gallery": "gallery"},
    outer=("DeepChangeDataset", "DeepChange"),
    protocols=PROTOCOLS,
    published={
        "train images": 75083,
        "train persons": 450,
        "query images": 17527,
        "query persons": 521,
        "gallery images": 62956,
        "gallery persons": 521,
    },
)


def read(root: Path) -> Dataset:
    """Read DeepChange; every image must stand in its list, which gives the tracklet."""
    place = find_root(root, tuple(LAYOUT.folders), outer=LAYOUT.outer)
    names = Names(LAYOUT.pattern)
    samples: list[Sample] = []
    for folder, split in LAYOUT.folders.items():
        tracklets = _tracklets(place.path / f"{folder}-bbox.txt")
        for path, match in names.match(require_images(place.path / folder), folder):
            if path.name not in tracklets:
                raise DataError(f"{place.path}: {folder}/{path.name} is not in {folder}-bbox.txt")
            person = match["person"]
            labels = {
                "person": person,
                "camera": str(int(match["camera"])),
                "clothes": f"{person}_{match['outfit']}",
                "tracklet": tracklets[path.name],
            }
            samples.append(sample_of(place, path, split=split, labels=labels))
    return assemble(LAYOUT, place, samples=samples, notes=names.notes)


def _tracklets(path: Path) -> dict[str, str]:
    rows = [line.split(",") for line in read_lines(path, "the list of images, lines 'name,tracklet'")]
    wrong = next((row for row in rows if len(row) < 2), None)
    if wrong:
        raise DataError(f"{path}: expected lines 'name,tracklet', found {wrong[0]!r}")
    return {with_slashes(row[0].strip()).rpartition("/")[2]: row[1].strip() for row in rows}
