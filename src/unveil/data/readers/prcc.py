"""PRCC (Yang et al., TPAMI 2021) and Occ-PRCC (OC4-ReID): three cameras, the clothes change between A/B and C."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from unveil.data.listing import Names, Root, find_root, require_images
from unveil.data.readers.benchmark import Layout, assemble, sample_of
from unveil.records import Dataset, Protocol, Sample, Split, Where

_GALLERY = (Where("camera", "in", ("A",)),)
_SAME, _CROSS = (Where("camera", "in", ("B",)),), (Where("camera", "in", ("C",)),)
_MULTI = "gallery: all of camera A"
_SINGLE = "gallery: one crop of camera A a person, mean of 10 draws (the original protocol)"

PROTOCOLS = (
    Protocol("prcc_multi", (), _CROSS, _GALLERY, about=f"cross-clothes, query C, {_MULTI}"),
    Protocol("prcc_multi_sc", (), _SAME, _GALLERY, about=f"same clothes, query B, {_MULTI}"),
    Protocol("prcc_single", (), _CROSS, _GALLERY, shots=1, draws=10, about=f"cross-clothes, query C, {_SINGLE}"),
    Protocol("prcc_single_sc", (), _SAME, _GALLERY, shots=1, draws=10, about=f"same clothes, query B, {_SINGLE}"),
)
LAYOUT = Layout(
    "prcc",
    r"(?P<camera>[ABC])_cropped_rgb\d+",
    folders={"rgb/train": "train", "rgb/test/A": "gallery", "rgb/test/B": "query", "rgb/test/C": "query"},
    outer=("prcc", "PRCC"),
    protocols=PROTOCOLS,
    published={
        "train images": 17896,
        "train persons": 150,
        "train clothes": 300,
        "query images": 7416,
        "query persons": 71,
        "gallery images": 3384,
        "gallery persons": 71,
    },
)
OCC_LAYOUT = dataclasses.replace(
    LAYOUT, name="occ_prcc", outer=("occ_prcc", "Occ_PRCC", "Occ-PRCC"), published={"train persons": 150}
)


def read(root: Path, *, val: bool = False) -> Dataset:
    """Read ``prcc/rgb/{train,test}``.

    Args:
        root: the folder that holds ``rgb``.
        val: also train on ``rgb/val``, further crops (5,002) of the training people; the papers do not.
    """
    return _read(LAYOUT, root, val=val)


def read_occ(root: Path, *, val: bool = False) -> Dataset:
    """Read Occ-PRCC: PRCC's filename pattern in ``occ_prcc/rgb``, occluded in every split."""
    return _read(OCC_LAYOUT, root, val=val)


def has_val(root: Path) -> bool:
    """Return whether a copy of PRCC has ``rgb/val``.

    Raises:
        DataError: there is no PRCC in the folder.
    """
    return (find_root(root, tuple(LAYOUT.folders), outer=LAYOUT.outer).path / "rgb/val").is_dir()


def _read(layout: Layout, given: Path, *, val: bool) -> Dataset:
    root = find_root(given, tuple(layout.folders), outer=layout.outer)
    notes: list[str] = []
    samples = _training(root, "rgb/train", notes=notes)
    if val:
        samples += _training(root, "rgb/val", notes=notes)
    for folder, split in layout.folders.items():
        if split != "train":
            samples += _test(root, folder, split=split, notes=notes)
    return assemble(layout, root, samples=samples, notes=notes)


def _training(root: Root, folder: str, *, notes: list[str]) -> list[Sample]:
    # rgb/train/<person>/{A,B,C}_cropped_rgbNNN.jpg
    names = Names(LAYOUT.pattern)
    paths = require_images(root.path / folder, recursive=True)
    found = [_sample(root, path, split="train", camera=match["camera"]) for path, match in names.match(paths, folder)]
    notes += names.notes
    return found


def _test(root: Root, folder: str, *, split: Split, notes: list[str]) -> list[Sample]:
    # rgb/test/{A,B,C}/<person>/cropped_rgbNNN.jpg: the folder is the camera
    names = Names(r"cropped_rgb\d+")
    paths = require_images(root.path / folder, recursive=True)
    found = [_sample(root, path, split=split, camera=folder[-1]) for path, _ in names.match(paths, folder)]
    notes += names.notes
    return found


def _sample(root: Root, path: Path, *, split: Split, camera: str) -> Sample:
    person = path.parent.name
    clothes = f"{person}C" if camera == "C" else person  # A and B share an outfit
    return sample_of(root, path, split=split, labels={"person": person, "camera": camera, "clothes": clothes})
