"""A folder for each person, if wanted below ``train``, ``query`` and ``gallery``; or just a folder of images."""

from __future__ import annotations

from pathlib import Path

from unveil.data.listing import list_images, seen_people
from unveil.data.readers.manifest import protocols_of, with_split
from unveil.data.walk import LeftOutNote, is_foreign, is_parsing_tree, joined, walk
from unveil.errors import DataError
from unveil.records import SPLITS, Dataset, Sample, Split


def read(root: Path, *, split: Split | None = None, name: str | None = None) -> Dataset:
    """Read a tree of images whose folders are people; ``person/any/depth.jpg`` or ``split/person/any/depth.jpg``.

    Without a layer of splits the crops have none: they can be embedded and searched, and trained on with
    ``split=train``. An image beside the people's folders is a crop of an unknown person.

    Args:
        root: the folder.
        split: split of every crop, for a tree without that layer.
        name: name of the dataset; the folder's by default.

    Raises:
        DataError: not a folder, no image in it, or a layer of splits with other folders beside it.
    """
    samples: list[Sample] = []
    notes: list[str] = []
    for layer, base in _layers(root):
        found = list_images(base, recursive=True)
        samples += [
            Sample(path.relative_to(root).as_posix(), path, person=_person(path.relative_to(base)), split=layer)
            for path in found
        ]
        notes.append(LeftOutNote(str(found.left_out), found.left_out))
    if base != root:  # what lies beside the splits is in none of them
        beside = walk(root, recursive=False)
        beside.left_out.others += [path.name for path in (*beside.images, *beside.videos)]
        notes.append(LeftOutNote(str(beside.left_out), beside.left_out))
    if not samples:
        raise DataError(f"{root}: no image in it{''.join(f' ({note})' for note in notes if note)}")
    unknown = sum(sample.person is None for sample in samples)
    if unknown:
        notes.append(f"{unknown} images lie beside the folders of people: their person is unknown")
    notes.append("folders tell no camera: none is known")
    notes += seen_people(samples)
    name = name or root.resolve().name or "folder"
    dataset = Dataset(name, tuple(samples), protocols_of(samples), notes=joined(notes))
    return dataset if split is None else with_split(dataset, split)


def _layers(root: Path) -> list[tuple[Split | None, Path]]:
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of people, found {'a file' if root.exists() else 'nothing'}")
    inside = {p.name for p in root.iterdir() if p.is_dir() and not is_foreign(p.name) and not is_parsing_tree(p)}
    splits = [split for split in SPLITS if split in inside]
    if not splits:
        return [(None, root)]
    others = sorted(inside - set(splits))
    if others:
        raise DataError(
            f"{root}: the folders {', '.join(splits)} are splits, but {', '.join(others[:5])} lie beside them; "
            "put every person into a split, or none"
        )
    return [(split, root / split) for split in splits]


def _person(relative: Path) -> str | None:
    return relative.parts[0] if len(relative.parts) > 1 else None
