"""LaST (Shu et al., 2021): crops from movies, without cameras; outfits are labelled in the training part only.

Layout as its public readers document it: ``last/train/<person>/*.jpg``, ``last/{val,test}/query/*.jpg``,
``last/{val,test}/gallery/<person>/*.jpg``; names start with the person, training names end with the outfit.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

from unveil.data.protocols import NO_JUNK
from unveil.data.readers.benchmark import Labels, Layout, read_layout
from unveil.records import Dataset

_TRAIN = {"train images": 71248, "train persons": 5000}
_TEST = {"query images": 10176, "query persons": 5805, "gallery images": 125353, "gallery persons": 5806}
_VAL = {"query images": 100, "query persons": 56, "gallery images": 21279, "gallery persons": 56}
LAYOUT = Layout(
    "last",
    r"(?P<person>\d+)_(?:.*_)?(?P<outfit>[^_.]+)\.",
    outer=("last", "LaST"),
    protocols=(NO_JUNK,),
    recursive=True,
)


def read(root: Path, *, part: Literal["test", "val"] = "test") -> Dataset:
    """Read LaST.

    Args:
        root: the folder of ``train``, ``val`` and ``test``.
        part: which part query and gallery come from.
    """
    form = dataclasses.replace(
        LAYOUT,
        folders={"train": "train", f"{part}/query": "query", f"{part}/gallery": "gallery"},
        published=_TRAIN | (_TEST if part == "test" else _VAL),
    )
    dataset = read_layout(form, root, label=_labels)
    samples = (s if s.split == "train" else dataclasses.replace(s, clothes=None) for s in dataset.samples)
    return dataclasses.replace(dataset, samples=tuple(samples))


def _labels(match: re.Match[str]) -> Labels:
    return {"person": match["person"], "clothes": f"{match['person']}_{match['outfit']}"}
