"""Celeb-reID (Huang et al., IJCNN 2019): celebrities in changing clothes, without cameras; ``x_y_z.jpg``.

The filename pattern follows public readers of the set; it has not been seen on the real files.
"""

from __future__ import annotations

from pathlib import Path

from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import PLAIN, Layout, read_layout
from unveil.records import Dataset

LAYOUT = Layout(
    "celeb_reid",
    r"(?P<person>\d+)_\d+_\d+",
    folders=PLAIN,
    outer=("Celeb-reID", "Celeb-reID-light"),
    protocols=(NO_JUNK,),
    published={
        "train images": 20208,
        "train persons": 632,
        "query images": 2972,
        "query persons": 420,
        "gallery images": 11006,
        "gallery persons": 420,
    },
    notes=("Celeb-reID numbers its people per part: the same number in train and test may mean two people",),
)


def read(root: Path) -> Dataset:
    """Read ``Celeb-reID/{train,query,gallery}/<person>_<image>_<z>.jpg``; Celeb-reID-light is alike."""
    return read_layout(LAYOUT, root)
