"""CUHK03 (Li et al., CVPR 2014) by the new protocol 767/700 (Zhong et al., CVPR 2017), in both published forms.

(a) ``images_{labeled,detected}/P_III_V_NN.png`` with ``cuhk03_new_protocol_config_{labeled,detected}.mat``;
(b) ``cuhk03-np/{labeled,detected}/{bounding_box_train,query,bounding_box_test}/PPPP_cC_N.png``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unveil.data.listing import Names, Root, find_root, require_images
from unveil.data.readers import cuhk03_extract
from unveil.data.readers.benchmark import Layout, assemble, read_layout, sample_of
from unveil.data.readers.matlab import read_mat
from unveil.errors import DataError
from unveil.records import Dataset, Sample, Split

Boxes = Literal["labeled", "detected"]
_IMAGES = {"labeled": (7368, 1400, 5328), "detected": (7365, 1400, 5332)}
_SPLITS: tuple[Split, ...] = ("train", "query", "gallery")


def layout(boxes: Boxes) -> Layout:
    """Return the layout of one variant."""
    counts = dict(zip(_SPLITS, _IMAGES[boxes], strict=True))
    people = {"train": 767, "query": 700, "gallery": 700}
    published = {f"{s} images": counts[s] for s in _SPLITS} | {f"{s} persons": people[s] for s in _SPLITS}
    outer = (boxes, f"cuhk03-np/{boxes}")
    return Layout(f"cuhk03_{boxes}", r"(?P<person>\d+)_c(?P<camera>\d+)_\d+", outer=outer, published=published)


def read(root: Path, *, boxes: Boxes = "labeled", extract: bool = False) -> Dataset:
    """Read CUHK03.

    Args:
        root: the folder of ``cuhk03-np``, or the one that holds ``images_labeled`` and the ``.mat`` files.
        boxes: boxes drawn by hand ("labeled") or by a detector ("detected"); papers report both.
        extract: unpack ``cuhk03_release/cuhk-03.mat`` into ``images_{boxes}`` when that folder is not there.

    Raises:
        MissingExtraError: form (a) needs SciPy and h5py to read the ``.mat`` files.
    """
    folder = f"images_{boxes}"
    for place in (root, root / "cuhk03"):
        archive = place / "cuhk03_release" / "cuhk-03.mat"
        if not (place / folder).is_dir() and archive.is_file():
            if not extract:
                raise DataError(f"{place}: found cuhk-03.mat but no folder {folder}; ?extract=true unpacks it there")
            cuhk03_extract.extract(archive, boxes, target=place / folder)
        if (place / folder).is_dir():
            return _read_extracted(find_root(place, (folder,)), layout(boxes), boxes=boxes)
    return read_layout(layout(boxes), root)


def _read_extracted(root: Root, form: Layout, *, boxes: Boxes) -> Dataset:
    protocol = _protocol(root.path / f"cuhk03_new_protocol_config_{boxes}.mat")
    names = Names(r"(\d)_(\d+)_(?P<view>[12])_\d+\.png")
    found = {
        m.string: (path, m) for path, m in names.match(require_images(root.path / f"images_{boxes}"), f"images_{boxes}")
    }
    samples: list[Sample] = []
    for split in _SPLITS:
        for name, person in protocol[split]:
            if name not in found:
                raise DataError(f"{root.path}: the protocol names {name}, which is not in images_{boxes}")
            path, match = found[name]
            samples.append(sample_of(root, path, split=split, labels={"person": person, "camera": match["view"]}))
    return assemble(dataclasses.replace(form, outer=()), root, samples=samples, notes=names.notes)


def _protocol(path: Path) -> dict[Split, list[tuple[str, str]]]:
    """Return the file and the person of every crop of each split."""
    said = "the published protocol of CUHK03"
    indices = [f"{split}_idx" for split in _SPLITS]
    found = read_mat(path, ("filelist", "labels", *indices), expected=said)
    try:
        files = [str(np.asarray(cell).item()) for cell in np.asarray(found["filelist"]).ravel()]
        people, numbers = (
            [_whole(values) for values in arrays] for arrays in ([found["labels"]], [found[name] for name in indices])
        )
    except (TypeError, ValueError) as e:
        raise DataError(f"{path} is not {said}: {e}") from None
    if len(people[0]) != len(files):
        raise DataError(f"{path} is not {said}: it has {len(files)} files and {len(people[0])} labels")
    rows: dict[Split, list[tuple[str, str]]] = {}
    for split, wanted in zip(_SPLITS, numbers, strict=True):
        outside = [number for number in wanted if not 1 <= number <= len(files)]  # they count from 1
        if outside:
            raise DataError(f"{path} is not {said}: {split}_idx names file {outside[0]} of {len(files)}")
        rows[split] = [(files[number - 1], str(people[0][number - 1])) for number in sorted(wanted)]
    return rows


def _whole(values: Any) -> list[int]:
    """Return whole numbers; ValueError when there is another one."""
    array = np.asarray(values).ravel()
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all() or (array != np.rint(array)).any():
        raise ValueError(f"expected whole numbers, found {array[:3].tolist()}")
    return [int(value) for value in array]
