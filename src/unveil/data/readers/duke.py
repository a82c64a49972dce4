"""DukeMTMC-reID (Zheng et al., ICCV 2017), withdrawn by its authors: read from a copy of the user, never fetched."""

from __future__ import annotations

from pathlib import Path

from unveil.data.readers.benchmark import Layout, read_layout
from unveil.records import Dataset

WITHDRAWN = (
    "DukeMTMC was withdrawn by its authors for reasons of privacy; this project reads a copy that you have, and never "
    "downloads or passes on one. Think twice before you publish results on it."
)
PATTERN = r"(?P<person>\d+)_c(?P<camera>\d)_f\d+"
LAYOUT = Layout(
    "dukemtmc",
    PATTERN,
    outer=("DukeMTMC-reID", "dukemtmc-reid/DukeMTMC-reID"),
    published={
        "train images": 16522,
        "train persons": 702,
        "query images": 2228,
        "query persons": 702,
        "gallery images": 17661,
        "gallery persons": 1110,
    },
    notes=(WITHDRAWN,),
)


def read(root: Path) -> Dataset:
    """Read ``DukeMTMC-reID/{bounding_box_train,query,bounding_box_test}/PPPP_cC_fFFFFFFF.jpg``."""
    return read_layout(LAYOUT, root)
