"""What the world lends to the occlusion builder: its cut-outs, and the mapping from its labels to body components."""

from __future__ import annotations

from pathlib import Path

from unveil.occlusion.occluder import Translate
from unveil.occlusion.settings import Style
from unveil.records import Dataset
from unveil.world.capture.cutouts import cutouts_folder
from unveil.world.labels import table


def translation(dataset: Dataset) -> Translate | None:
    """Return the mapping from the world's own labels to Pascal-7; ``None`` for other schemes, which know theirs."""
    if dataset.parsing_scheme != "world":
        return None
    components = table("pascal7")
    return lambda labels: components[labels]


def cutouts_for(style: Style, folder: Path | None) -> Path | None:
    """Return the named folder of cut-outs, or the world's for the style "cutouts", rendered on first use."""
    if style != "cutouts" or folder is not None:
        return folder
    return cutouts_folder()
