"""How the ReID models that people have are fed: what ``unveil models add FILE --like NAME`` writes into a card.

The facts are those of each project's own code for inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unveil.errors import CheckpointError, nearest

_IMAGENET: dict[str, Any] = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_HALVES: dict[str, Any] = {"scale": 1 / 255, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_RAW: dict[str, Any] = {"scale": 1.0}


@dataclass(frozen=True)
class Preset:
    """Values of a card, and what they are for.

    Args:
        about: which models are fed so.
        card: values of `unveil.models.foreign.reid_card.ReidCard`.
        height: input height in pixels of a model whose file leaves it open.
        width: input width in pixels, likewise.
    """

    about: str
    card: Mapping[str, Any] = field(default_factory=dict)
    height: int = 256
    width: int = 128


PRESETS: dict[str, Preset] = {
    "osnet": Preset("torchreid's models (OSNet, OSNet-AIN, MLFN, HACNN): RGB, ImageNet mean and std", _IMAGENET),
    "omz": Preset(
        "Open Model Zoo's person-reidentification-*: BGR 0..255, a resize that does not antialias",
        _RAW | {"channels": "bgr", "interpolation": "linear"},
    ),
    "imagenet": Preset("anything that was trained as on ImageNet: RGB, ImageNet mean and std", _IMAGENET),
    "fastreid": Preset(
        "files that FastReID's deployment writes: RGB 0..255, mean and std inside the graph, bicubic",
        _RAW | {"interpolation": "bicubic"},
    ),
    "bot": Preset("BoT and its descendants: RGB, ImageNet mean and std", _IMAGENET),
    "cal": Preset(
        "CAL and its descendants: ImageNet mean and std, mirrored too",
        _IMAGENET | {"mirror": True},
        384,
        192,
    ),
    "transreid": Preset("TransReID: RGB, mean and std 0.5", _HALVES),
    "clipreid": Preset("CLIP-ReID: RGB, mean and std 0.5", _HALVES),
    "raw": Preset("graphs that normalise by themselves: RGB 0..255", _RAW),
}


def find_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        CheckpointError: there is none of that name.
    """
    if name not in PRESETS:
        known = "; ".join(f"{key}: {preset.about}" for key, preset in PRESETS.items())
        raise CheckpointError(f"no preset {name!r}{nearest(name, PRESETS)}; there are {known}")
    return PRESETS[name]
