"""How to occlude: the style, how much, and the switches of the recipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from unveil.errors import DataError
from unveil.occlusion.parts import PartsSettings

Style = Literal["parts", "blocks", "people", "cutouts"]
DEFAULT_RATIO = 0.3


@dataclass(frozen=True)
class OcclusionSettings:
    """How to occlude.

    Args:
        style: "parts" (the recipe of Occ-PRCC), "blocks", "people" (others of the dataset, cut out by their parsing),
            "cutouts" (images of a folder).
        ratio: fraction of the person to occlude (of the crop where no parsing is known), in [0, 1]; ``None`` leaves it
            to the recipe for "parts" and is 0.3 for the others.
        seed: the same seed occludes the same.
        parts: switches of the recipe.
        cutouts: folder of RGBA images for the style "cutouts".
    """

    style: Style = "parts"
    ratio: float | None = None
    seed: int = 0
    parts: PartsSettings = field(default_factory=PartsSettings)
    cutouts: Path | None = None

    def __post_init__(self) -> None:
        if self.ratio is not None and not 0 <= self.ratio <= 1:
            raise DataError(f"the occlusion ratio must lie in [0, 1], found {self.ratio}")
        if (self.style == "cutouts") != (self.cutouts is not None):
            raise DataError("the style 'cutouts' and a folder of cut-outs belong together")
