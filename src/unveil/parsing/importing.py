"""Bring the files of other tools into the project's own tree: SCHP maps, PifPaf fields, pixel-sampling arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from unveil.data.images import read_sample
from unveil.data.parsing_tree import ParsingShare, parsing_path
from unveil.errors import DataError, nearest
from unveil.label_sets import BPB8, PAB6, PS6, Scheme, get_scheme
from unveil.parsing.formats.pifpaf import find_fields, part_labels, read_fields
from unveil.parsing.formats.pixel_sampling import read_probabilities
from unveil.parsing.formats.schp import read_label_png, schp_name, write_label_png
from unveil.progress import track
from unveil.records import Dataset

Labels = NDArray[np.uint8]
Size = tuple[int, int]
KINDS = ("schp", "fields", "pixel_sampling")


def import_maps(dataset: Dataset, folder: Path, *, kind: str, root: Path, scheme: str | None = None) -> ParsingShare:
    """Write the maps that another tool made into ``<root>/parsing/<scheme>/<key>.png``.

    Args:
        dataset: what the maps belong to.
        folder: where the tool wrote them: flat, or mirroring the folders of the dataset.
        kind: "schp" (palette PNGs), "fields" (PifPaf fields, become ``pab6`` or ``bpb8``) or "pixel_sampling" (become
            ``ps6``).
        root: where the tree stands.
        scheme: label set of the maps, needed for "schp"; of "fields", ``pab6`` by default.

    Returns:
        How many samples have no map; those are left out.

    Raises:
        DataError: an unknown kind, a map that does not fit its image, flat names that two images share, or no map.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected the maps of {dataset.name!r}")
    target, find, read = _reader(kind, folder, scheme=scheme, dataset=dataset)
    missing = []
    for sample in track(dataset.samples, "importing parsing maps"):
        found = find(sample.key)
        if found is None:
            missing.append(sample.key)
            continue
        image = read_sample(sample)
        labels = read(found, (image.shape[0], image.shape[1]))
        if labels.shape != image.shape[:2]:
            raise DataError(
                f"{found}: the map is {labels.shape[1]}x{labels.shape[0]} but its image {sample.key} is "
                f"{image.shape[1]}x{image.shape[0]} (width x height)"
            )
        write_label_png(parsing_path(root, target.name, key=sample.key), labels, scheme=target)
    share = ParsingShare(len(dataset.samples), tuple(missing))
    if share.share_missing == 1:
        raise DataError(f"{folder} holds no map of kind {kind!r} for any image, for example {missing[0]}")
    return share


Find = Callable[[str], Path | None]
Read = Callable[[Path, Size], Labels]


def _reader(kind: str, folder: Path, *, scheme: str | None, dataset: Dataset) -> tuple[Scheme, Find, Read]:
    if kind == "fields":
        parts, grouping = _of_fields(scheme)
        return (
            parts,
            lambda key: find_fields(folder, key),
            lambda path, size: part_labels(read_fields(path), size, grouping=grouping),
        )
    if kind == "pixel_sampling":
        return PS6, _finder(folder, lambda name: f"{PurePosixPath(name).stem}.npy", dataset=dataset), read_probabilities
    if kind != "schp":
        raise DataError(f"unknown kind of maps {kind!r}{nearest(kind, KINDS)}; known: {', '.join(KINDS)}")
    if scheme is None:
        raise DataError("maps of SCHP come in three label sets: say which one (lip20, atr18 or pascal7)")
    known = get_scheme(scheme)
    return known, _finder(folder, schp_name, dataset=dataset), lambda path, size: read_label_png(path, known)


def _of_fields(scheme: str | None) -> tuple[Scheme, str]:
    known = {PAB6.name: (PAB6, "six"), BPB8.name: (BPB8, "eight")}
    if (scheme or PAB6.name) not in known:
        raise DataError(f"PifPaf fields become {' or '.join(known)}, not {scheme}")
    return known[scheme or PAB6.name]


def _finder(folder: Path, rename: Callable[[str], str], *, dataset: Dataset) -> Find:
    count = Counter(rename(PurePosixPath(s.key).name) for s in dataset.samples)

    def find(key: str) -> Path | None:
        name = rename(PurePosixPath(key).name)
        mirrored = folder / PurePosixPath(key).parent / name
        if mirrored.is_file():
            return mirrored
        if not (folder / name).is_file():
            return None
        if count[name] > 1:
            raise DataError(
                f"{folder / name}: {count[name]} images of {dataset.name!r} would take this map, {key} among them; "
                "run the tool folder by folder and mirror the dataset's folders"
            )
        return folder / name

    return find
