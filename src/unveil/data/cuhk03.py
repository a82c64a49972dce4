"""CUHK03 (Li et al., CVPR 2014) by the new protocol 767/700 (Zhong et al., CVPR 2017), in both published forms.

(a) ``images_{labeled,detected}/P_III_V_NN.png`` with ``cuhk03_new_protocol_config_{labeled,detected}.mat``;
(b) ``cuhk03-np/{labeled,detected}/{bounding_box_train,query,bounding_box_test}/PPPP_cC_N.png``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

from unveil.data import cuhk03_extract
from unveil.data.benchmark import Layout, assemble, read_layout, sample_of
from unveil.data.listing import Names, Root, filled, find_root
from unveil.errors import DataError, MissingExtraError
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
            cuhk03_extract.extract(archive, boxes, place / folder)
        if (place / folder).is_dir():
            return _read_extracted(find_root(place, (folder,)), layout(boxes), boxes)
    return read_layout(layout(boxes), root)


def _read_extracted(root: Root, form: Layout, boxes: Boxes) -> Dataset:
    config = _config(root.path / f"cuhk03_new_protocol_config_{boxes}.mat")
    names = Names(r"(\d)_(\d+)_(?P<view>[12])_\d+\.png")
    found = {m.string: (path, m) for path, m in names.match(filled(root.path / f"images_{boxes}"), f"images_{boxes}")}
    samples: list[Sample] = []
    for split in _SPLITS:
        for index in sorted(int(i) - 1 for i in config[f"{split}_idx"].ravel()):  # indices count from 1
            name = str(config["filelist"].ravel()[index].item())
            if name not in found:
                raise DataError(f"{root.path}: the protocol names {name}, which is not in images_{boxes}")
            path, match = found[name]
            person = str(int(config["labels"].ravel()[index]))
            samples.append(sample_of(root, path, split, {"person": person, "camera": match["view"]}))
    return assemble(dataclasses.replace(form, outer=()), root, samples, names.notes)


def _config(path: Path) -> dict[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError:
        raise MissingExtraError("reading the protocol of CUHK03 from its .mat file", "mat") from None
    if not path.is_file():
        raise DataError(f"{path}: expected the protocol of CUHK03; it comes with the lists of the new protocol")
    config: dict[str, Any] = loadmat(path)
    return config
