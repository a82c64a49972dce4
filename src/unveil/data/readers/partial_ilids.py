"""Partial-iLIDS (He et al., CVPR 2018): 119 upper bodies search as many whole ones; nothing to train on.

The filename pattern follows public readers of the set; it has not been seen on the real files.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

from unveil.data.listing import find_root
from unveil.data.readers.benchmark import read_layout
from unveil.data.readers.occluded_reid import leading_number
from unveil.data.readers.partial_reid import LAYOUT as PARTIAL_REID
from unveil.errors import DataError
from unveil.records import Dataset, Split

LAYOUT = dataclasses.replace(
    PARTIAL_REID,
    name="partial_ilids",
    outer=("Partial_iLIDS", "PartialiLIDS", "Partial-iLIDS"),
    published={"query images": 119, "query persons": 119, "gallery images": 119, "gallery persons": 119},
    notes=("Partial-iLIDS has no training images: train on market1501",),
)


def read(root: Path) -> Dataset:
    """Read ``Partial_iLIDS/{Probe,Gallery}``, or ``{partial,whole}_body_images`` as another copy has it."""
    original: dict[str, Split] = {"Probe": "query", "Gallery": "gallery"}
    form = LAYOUT
    with contextlib.suppress(DataError):
        find_root(root, tuple(original), outer=LAYOUT.outer)
        form = dataclasses.replace(LAYOUT, folders=original)
    return read_layout(form, root, label=leading_number)
