"""P-DukeMTMC (Zhuo et al., ICME 2018): crops of DukeMTMC-reID sorted into occluded and whole-body ones."""

from __future__ import annotations

from pathlib import Path

from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import Layout, read_layout
from unveil.data.readers.duke import WITHDRAWN
from unveil.data.readers.occluded_reid import leading_number
from unveil.records import Dataset

LAYOUT = Layout(
    "p_dukemtmc",
    r"(?P<person>\d+)",
    folders={
        "train/occluded_body_images": "train",
        "train/whole_body_images": "train",
        "test/occluded_body_images": "query",
        "test/whole_body_images": "gallery",
    },
    outer=("P-DukeMTMC-reID", "P-DukeMTMC-reid"),
    protocols=(NO_JUNK,),
    published={
        "train images": 12927,
        "train persons": 665,
        "query images": 2163,
        "query persons": 634,
        "gallery images": 9053,
    },
    notes=(WITHDRAWN,),
    recursive=True,
)


def read(root: Path) -> Dataset:
    """Read ``P-DukeMTMC-reID/{train,test}/{occluded,whole}_body_images/<person>/*.jpg``; nothing is ever junk."""
    return read_layout(LAYOUT, root, label=leading_number)
