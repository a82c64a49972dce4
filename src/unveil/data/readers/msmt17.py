"""MSMT17 (Wei et al., CVPR 2018), both releases: folders of people, lists of files; the names tell camera and daytime.

Filename pattern as its public readers document it: ``{train,test}/PPPP/PPPP_NNN_CC_<daytime>_*.jpg`` and
``list_{train,val,query,gallery}.txt`` with lines ``PPPP/name.jpg label``.
"""

from __future__ import annotations

import re
from pathlib import Path

from unveil.data.listing import Names, Root, find_root
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.data.text import is_file, read_lines, with_slashes
from unveil.errors import DataError
from unveil.records import Dataset, Sample, Split

LAYOUT = Layout(
    "msmt17",
    r"(?P<person>\d+)_\d+_(?P<camera>\d+)_(?P<daytime>\d{4}[a-z]+)_",
    outer=("MSMT17_V1", "MSMT17_V2", "MSMT17"),
    published={
        "train images": 32621,
        "train persons": 1041,
        "query images": 11659,
        "query persons": 3060,
        "gallery images": 82161,
        "gallery persons": 3060,
    },
    notes=("person numbers start again at 0 in the test part of MSMT17 and mean other people",),
)
_RELEASES = (("train", "test"), ("mask_train_v2", "mask_test_v2"))
_LISTS: tuple[tuple[str, int, Split], ...] = (
    ("list_train.txt", 0, "train"),
    ("list_val.txt", 0, "train"),
    ("list_query.txt", 1, "query"),
    ("list_gallery.txt", 1, "gallery"),
)


def read(root: Path, *, val: bool = True) -> Dataset:
    """Read MSMT17.

    Args:
        root: the folder that holds the two folders and the four lists.
        val: train on the validation list too, as most papers do (32,621 images).
    """
    place, folders = _find(root)
    names = Names(LAYOUT.pattern)
    samples: list[Sample] = []
    for name, part, split in _LISTS:
        if name == "list_val.txt" and not val:
            continue
        paths = _listed(place.path / name, place.path / folders[part])
        samples += [
            sample_of(place, path, split=split, labels=_labels(match)) for path, match in names.match(paths, name)
        ]
    return assemble(LAYOUT, place, samples=samples, notes=names.notes)


def _find(given: Path) -> tuple[Root, tuple[str, str]]:
    try:
        return find_root(given, _RELEASES[0], outer=LAYOUT.outer), _RELEASES[0]
    except DataError as first:
        try:
            return find_root(given, _RELEASES[1], outer=LAYOUT.outer), _RELEASES[1]
        except DataError:
            raise first from None


def _listed(path: Path, folder: Path) -> list[Path]:
    lines = read_lines(path, "a list of MSMT17, lines 'PPPP/name.jpg label'")
    found = sorted(folder / with_slashes(line.rsplit(maxsplit=1)[0]) for line in lines)
    missing = [p for p in found if not is_file(p)]
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(found)} listed images are missing, for example {missing[0]}; "
            "was the archive extracted only in part?"
        )
    return found


def _labels(match: re.Match[str]) -> dict[str, str]:
    return {"person": match["person"], "camera": str(int(match["camera"])), "daytime": match["daytime"]}
