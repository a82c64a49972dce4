"""Partial-REID (Zheng et al., ICCV 2015): partial or occluded crops search whole bodies; nothing to train on.

Layout as its public readers document it; the person is the number at the beginning of the name.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import Layout, read_layout
from unveil.data.readers.occluded_reid import leading_number
from unveil.records import Dataset, Split

WHOLE: dict[str, Split] = {"whole_body_images": "gallery"}
LAYOUT = Layout(
    "partial_reid",
    r"(?P<person>\d+)",
    folders={"partial_body_images": "query", **WHOLE},
    outer=("Partial_REID", "PartialREID", "Partial-REID_Dataset"),
    protocols=(NO_JUNK,),
    published={"query images": 300, "query persons": 60, "gallery images": 300, "gallery persons": 60},
    notes=("Partial-REID has no training images: train on market1501",),
    recursive=True,
)


def read(root: Path, *, query: Literal["partial", "occluded"] = "partial") -> Dataset:
    """Read ``Partial_REID/{partial,occluded,whole}_body_images``.

    Args:
        root: the folder of the three.
        query: which of the two kinds of crops searches.
    """
    return read_layout(
        dataclasses.replace(LAYOUT, folders={f"{query}_body_images": "query", **WHOLE}), root, label=leading_number
    )
