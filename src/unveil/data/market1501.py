"""Market-1501 (Zheng et al., ICCV 2015): 1,501 people, six cameras, ``0002_c1s1_000451_03.jpg``."""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import Names, Root, find_root, list_images
from unveil.data.manifest import MARKET
from unveil.errors import DataError
from unveil.records import Dataset, Sample, Split

FOLDERS: dict[str, Split] = {"bounding_box_train": "train", "query": "query", "bounding_box_test": "gallery"}
OUTER = ("Market-1501-v15.09.15", "market1501/Market-1501-v15.09.15")
GRAMMAR = r"([-\d]+)_c(\d)"
JUNK = -1
PUBLISHED = {
    "train images": 12936,
    "train persons": 751,
    "query images": 3368,
    "query persons": 750,
    "gallery images": 15913,
}
DISTRACTORS = "images"


def read(root: Path, *, distractors: bool = False) -> Dataset:
    """Read Market-1501; boxes labelled -1 are junk and left out, those labelled 0 stay as distractors.

    Args:
        root: the folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or one above it.
        distractors: add the 500,000 distractors of the folder ``images`` to the gallery.
    """
    found = find_root(root, tuple(FOLDERS), OUTER)
    names, junk = Names(GRAMMAR), 0
    samples = []
    for folder, split in FOLDERS.items():
        for path, match in names.scan(found.path / folder):
            if int(match[1]) == JUNK:
                junk += 1
            else:
                samples.append(Sample(found.key(path), path, person=match[1], camera=match[2], split=split))
    notes = [*found.notes, *names.notes]
    if junk:
        notes.append(f"{junk} boxes labelled -1 (junk) were left out, as the protocol says")
    if distractors:
        samples += _distractors(found)
    return Dataset("market1501", tuple(samples), (MARKET,), PUBLISHED, tuple(notes))


def _distractors(root: Root) -> list[Sample]:
    folder = root.path / DISTRACTORS
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the 500k distractors belong there, or set distractors=false")
    # They show nobody of the dataset: the person is the distractor label of the box names.
    return [Sample(root.key(path), path, person="0000", camera=None, split="gallery") for path in list_images(folder)]
