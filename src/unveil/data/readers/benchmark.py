"""What benchmarks in folders share: a layout (folders, filename patterns, protocols, counts) read into a Dataset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unveil.data.listing import Names, Root, duplicate_frames, find_root, require_images
from unveil.data.protocols import MARKET
from unveil.data.readers.market1501 import FOLDERS as BOXES
from unveil.errors import DataError
from unveil.records import LABEL_COLUMNS, Dataset, Protocol, Sample, Split

Labels = Mapping[str, str]
PLAIN: Mapping[str, Split] = {"train": "train", "query": "query", "gallery": "gallery"}


@dataclass(frozen=True)
class Layout:
    """How a benchmark lies on disk, and what its papers measure.

    Args:
        name: name of the dataset.
        pattern: filename pattern; named groups ``person``, ``camera``, ``clothes`` become labels.
        folders: folder below the root -> split.
        outer: folders that the archive wraps around the root.
        protocols: the first is the default.
        published: counts to check against.
        notes: sentences that a user must see.
        recursive: images also lie deeper in the folders.
    """

    name: str
    pattern: str
    folders: Mapping[str, Split] = field(default_factory=lambda: BOXES)
    outer: tuple[str, ...] = ()
    protocols: tuple[Protocol, ...] = (MARKET,)
    published: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recursive: bool = False


def named_groups(match: re.Match[str]) -> Labels | None:
    """Return the labels of a name: its named groups, camera numbers without leading zeros."""
    labels = {name: text for name, text in match.groupdict().items() if text is not None}
    if labels.get("camera", "").isdigit():
        labels["camera"] = str(int(labels["camera"]))
    return labels


def read_layout(
    layout: Layout, given: Path, *, label: Callable[[re.Match[str]], Labels | None] = named_groups
) -> Dataset:
    """Read a benchmark whose splits are folders.

    Args:
        layout: how it lies on disk.
        given: what the user named.
        label: labels of a match, or ``None`` to leave the image out; extra columns are allowed.

    Raises:
        DataError: the folders are not there, or one of them holds no image.
    """
    root = find_root(given, tuple(layout.folders), outer=layout.outer)
    names = Names(layout.pattern)
    samples: list[Sample] = []
    for folder, split in layout.folders.items():
        found = require_images(root.path / folder, recursive=layout.recursive)
        for path, match in names.match(found, folder):
            labels = label(match)
            if labels is not None:
                samples.append(sample_of(root, path, split=split, labels=labels))
    return assemble(layout, root, samples=samples, notes=names.notes)


def sample_of(root: Root, path: Path, *, split: Split | None, labels: Labels, key: str | None = None) -> Sample:
    """Return a sample; labels that are no column of a Sample become extra columns."""
    extra = {name: text for name, text in labels.items() if name not in LABEL_COLUMNS}
    person, camera, clothes, tracklet = (labels.get(name) for name in LABEL_COLUMNS)
    key = key or root.key(path)
    return Sample(key, path, person=person, camera=camera, clothes=clothes, tracklet=tracklet, split=split, extra=extra)


def assemble(layout: Layout, root: Root, *, samples: Sequence[Sample], notes: Iterable[str] = ()) -> Dataset:
    """Return the Dataset of a layout with every note that a user must see.

    Raises:
        DataError: no image matches the filename pattern.
    """
    said = (*layout.notes, *root.notes, *notes)
    twice = duplicate_frames([s.key for s in samples])
    if not samples:
        raise DataError(f"{root.path}: no image of {layout.name} was found; {' '.join(said)}")
    return Dataset(layout.name, tuple(samples), layout.protocols, layout.published, (*said, *twice))
