"""LTCC (Qian et al., ACCV 2020) and Occ-LTCC (OC4-ReID): long-term, twelve cameras, several outfits a person."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from unveil.data.readers.benchmark import Labels, Layout, read_layout
from unveil.records import Dataset, Protocol

PROTOCOLS = (
    Protocol("ltcc_standard", ("same_camera",), about="general: same person and camera are junk"),
    Protocol("ltcc_cc", ("same_camera", "same_clothes"), about="cloth-changing: same camera or same outfit is junk"),
    Protocol("ltcc_sc", ("same_camera", "other_clothes"), about="same clothes: same camera or another outfit is junk"),
)
LAYOUT = Layout(
    "ltcc",
    r"(?P<person>\d+)_(?P<outfit>\d+)_c(?P<camera>\d+)_\d+",
    folders={"train": "train", "query": "query", "test": "gallery"},
    outer=("LTCC_ReID", "LTCC"),
    protocols=PROTOCOLS,
    published={
        "train images": 9576,
        "train persons": 77,
        "query images": 493,
        "query persons": 75,
        "gallery images": 7050,
        "gallery persons": 75,
    },
)
OCC_LAYOUT = dataclasses.replace(
    LAYOUT,
    name="occ_ltcc",
    outer=("Occ_LTCC", "occ_ltcc", "Occ-LTCC"),
    protocols=(PROTOCOLS[1], PROTOCOLS[0], PROTOCOLS[2]),
)


def read(root: Path) -> Dataset:
    """Read ``LTCC_ReID/{train,query,test}/PPP_CC_cCAM_FFFFFF.png``; outfits are labelled ``<person>_<outfit>``."""
    return read_layout(LAYOUT, root, label=_labels)


def read_occ(root: Path) -> Dataset:
    """Read Occ-LTCC: LTCC's filename pattern in ``Occ_LTCC``; its paper reports the protocol ``ltcc_cc``."""
    return read_layout(OCC_LAYOUT, root, label=_labels)


def _labels(match: re.Match[str]) -> Labels:
    person, outfit = match["person"], match["outfit"]
    return {"person": person, "camera": str(int(match["camera"])), "clothes": f"{person}_{outfit}"}
