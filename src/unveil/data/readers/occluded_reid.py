"""Occluded-REID (Zhuo et al., ICME 2018): 200 people, 5 occluded and 5 whole-body crops; nothing to train on."""

from __future__ import annotations

import re
from pathlib import Path

from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import Labels, Layout, read_layout
from unveil.records import Dataset

LAYOUT = Layout(
    "occluded_reid",
    r"(?P<person>\d+)_\d+",
    folders={"occluded_body_images": "query", "whole_body_images": "gallery"},
    outer=("Occluded_REID", "Occluded-REID", "OccludedREID"),
    protocols=(NO_JUNK,),
    published={"query images": 1000, "query persons": 200, "gallery images": 1000, "gallery persons": 200},
    notes=("Occluded-REID has no training images: train on market1501",),
    recursive=True,
)


def leading_number(match: re.Match[str]) -> Labels:
    """Return the person as a number without leading zeros, so that it agrees between folders."""
    return {"person": str(int(match["person"]))}


def read(root: Path) -> Dataset:
    """Read ``Occluded_REID/{occluded,whole}_body_images/<person>/<person>_<n>.tif`` (or ``.jpg``)."""
    return read_layout(LAYOUT, root, label=leading_number)
