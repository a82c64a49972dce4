"""VC-Clothes (Wan et al., CVPRW 2020): 512 people of a game engine, four cameras, one to three outfits each."""

from __future__ import annotations

import re
from pathlib import Path

from unveil.data.readers.benchmark import PLAIN, Labels, Layout, read_layout
from unveil.records import Dataset, Protocol, Where

_SAME, _CROSS = (Where("camera", "in", ("2", "3")),), (Where("camera", "in", ("3", "4")),)
PROTOCOLS = (
    Protocol("vc_general", about="all cameras; same person and camera are junk"),
    Protocol("vc_sc", query=_SAME, gallery=_SAME, about="query and gallery of cameras 2 and 3: the same outfit"),
    Protocol("vc_cc", query=_CROSS, gallery=_CROSS, about="query and gallery of cameras 3 and 4: another outfit"),
)
LAYOUT = Layout(
    "vc_clothes",
    r"(?P<person>\d+)-(?P<camera>\d+)-(?P<outfit>\d+)-\d+",
    folders=PLAIN,
    outer=("VC-Clothes", "VC_Clothes"),
    protocols=PROTOCOLS,
    published={
        "train images": 9449,
        "train persons": 256,
        "query images": 1020,
        "query persons": 256,
        "gallery images": 8591,
        "gallery persons": 256,
    },
)


def read(root: Path) -> Dataset:
    """Read ``VC-Clothes/{train,query,gallery}/PPPP-CC-KK-NN.jpg`` (person, camera, outfit, index)."""
    return read_layout(LAYOUT, root, label=_labels)


def _labels(match: re.Match[str]) -> Labels:
    person = match["person"]
    return {"person": person, "camera": str(int(match["camera"])), "clothes": f"{person}-{match['outfit']}"}
