"""Occluded-Duke (Miao et al., ICCV 2019): its own folders, or DukeMTMC-reID with the published lists."""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import Names, find_root
from unveil.data.readers.benchmark import Layout, assemble, read_layout, sample_of
from unveil.data.readers.duke import LAYOUT as DUKE
from unveil.data.readers.duke import PATTERN, WITHDRAWN
from unveil.data.readers.market1501 import FOLDERS as BOXES
from unveil.data.text import is_file, read_lines, with_slashes
from unveil.errors import DataError
from unveil.records import Dataset, Sample

LAYOUT = Layout(
    "occluded_duke",
    PATTERN,
    outer=("Occluded_Duke", "Occluded-DukeMTMC-Dataset/Occluded_Duke"),
    published={
        "train images": 15618,
        "train persons": 702,
        "query images": 2210,
        "query persons": 519,
        "gallery images": 17661,
        "gallery persons": 1110,
    },
    notes=(WITHDRAWN,),
)
_LISTS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}


def read(root: Path, *, lists: Path | None = None) -> Dataset:
    """Read Occluded-Duke.

    Args:
        root: the built dataset, or DukeMTMC-reID.
        lists: folder of ``train.list``, ``query.list`` and ``gallery.list``; by default looked for in the root, in
            its folder ``Occluded_Duke``, and beside it.

    Raises:
        DataError: plain DukeMTMC-reID without lists, a list is missing, or a listed image is.
    """
    place = find_root(root, tuple(BOXES), outer=(*LAYOUT.outer, *DUKE.outer))
    folder = lists or _find_lists(place.path)
    if folder is None:
        if "dukemtmc-reid" in place.path.name.lower():
            raise DataError(
                f"{place.path}: this is DukeMTMC-reID; to read it as Occluded-Duke, put the published train.list, "
                "query.list and gallery.list beside it or name their folder with ?lists=FOLDER"
            )
        return read_layout(LAYOUT, root)
    names = Names(PATTERN)
    samples: list[Sample] = []
    for split, target in _LISTS.items():
        listed = _listed(folder / f"{split}.list")
        # A query that DukeMTMC has no query image for lies among its gallery images.
        homes = (target, "bounding_box_test") if split == "query" else (target,)
        paths = [_locate(place.path, homes, name=name, split=split) for name in listed]
        for path, match in names.match(paths, f"{split}.list"):
            labels = {"person": match["person"], "camera": match["camera"]}
            samples.append(sample_of(place, path, split=BOXES[target], labels=labels, key=f"{target}/{path.name}"))
    return assemble(LAYOUT, place, samples=samples, notes=names.notes)


def _find_lists(root: Path) -> Path | None:
    places = (root, root / "Occluded_Duke", root.parent, root.parent / "Occluded_Duke")
    return next((place for place in places if (place / "query.list").is_file()), None)


def _listed(path: Path) -> list[str]:
    lines = read_lines(path, "the list of image names")
    return sorted({with_slashes(line).rpartition("/")[2] for line in lines})


def _locate(root: Path, homes: tuple[str, ...], *, name: str, split: str) -> Path:
    for home in homes:
        if is_file(root / home / name):
            return root / home / name
    raise DataError(f"{root}: {split}.list names {name}, which is in none of {', '.join(homes)}; is Duke complete?")
