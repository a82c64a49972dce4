"""Market-1501 (Zheng et al., ICCV 2015): 1,501 people, six cameras, ``0002_c1s1_000451_03.jpg``."""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import Names, duplicate_frames, find_root
from unveil.data.protocols import MARKET
from unveil.errors import DataError
from unveil.records import Dataset, Sample, Split

FOLDERS: dict[str, Split] = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
OUTER = ("Market-1501-v15.09.15", "market1501/Market-1501-v15.09.15")
PATTERN = r"(-?\d+)_c(\d)"
JUNK = -1
DISTRACTORS = "images"
PUBLISHED = {
    "train images": 12936,
    "train persons": 751,
    "query images": 3368,
    "query persons": 750,
    "gallery images": 15913,
}


def read(root: Path, *, distractors: bool = False) -> Dataset:
    """Read Market-1501; boxes labelled -1 are junk and left out, those labelled 0 stay as distractors.

    Args:
        root: the folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one above it.
        distractors: add the 500,000 distractors of the folder ``images`` to the gallery.

    Raises:
        DataError: the folders are not there, or no name in them matches the filename pattern.
    """
    found = find_root(root, tuple(FOLDERS), outer=OUTER)
    folders = FOLDERS | ({DISTRACTORS: "gallery"} if distractors else {})
    names, junk = Names(PATTERN), 0
    samples = []
    for folder, split in folders.items():
        for path, match in names.scan(found.path / folder):
            if int(match[1]) == JUNK:
                junk += 1
            else:
                samples.append(Sample(found.key(path), path, person=match[1], camera=match[2], split=split))
    notes = [*found.notes, *names.notes]
    if not samples:
        raise DataError(f"{found.path}: no image of market1501 was found; {' '.join(notes)}")
    if junk:
        notes.append(f"{junk} boxes labelled -1 (junk) were left out, as the protocol says")
    notes += duplicate_frames([sample.key for sample in samples])
    return Dataset("market1501", tuple(samples), (MARKET,), PUBLISHED, tuple(notes))
