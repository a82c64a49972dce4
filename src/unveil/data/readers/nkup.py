"""NKUP (Wang et al., IJIS 2020): 107 people; a query's day has no gallery crop of its person, so clothes change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from unveil.data.readers.benchmark import Labels, Layout, read_layout
from unveil.records import Dataset

LAYOUT = Layout(
    "nkup",
    r"(?P<person>-?\d+)_(?P<day>D\d+)_C(?P<camera>\d+)S\d+_\d+",
    outer=("NKUP", "NKUP_dataset"),
    published={
        "train images": 5336,
        "train persons": 40,
        "query images": 332,
        "query persons": 39,
        "gallery images": 4070,
        "gallery persons": 67,
    },
)


def read(root: Path, *, clothes: Literal["none", "day"] = "none") -> Dataset:
    """Read ``NKUP/{bounding_box_train,query,bounding_box_test}/PPPP_DMMDD_CccSss_FFFFF.jpg``.

    Args:
        root: the folder of the three.
        clothes: NKUP has no clothes labels; "day" takes person and recording day in their place, for training.
    """

    def labels(match: re.Match[str]) -> Labels | None:
        if match["person"] == "-1":
            return None
        found = {"person": match["person"], "camera": str(int(match["camera"])), "day": match["day"]}
        return found | ({"clothes": f"{match['person']}_{match['day']}"} if clothes == "day" else {})

    return read_layout(LAYOUT, root, label=labels)
