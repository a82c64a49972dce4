"""The card of a detector, a JSON file beside an ONNX or OpenVINO model: how it is fed, and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from unveil.runtime.card import ModelCard, read_model_card

EXAMPLE = (
    'write one such as {"model": "NAME.onnx", "decoder": "yolox", "width": 416, "height": 416, "licence": '
    '"Apache-2.0"}; docs/video.md lists the other keys'
)


class DetectorCard(ModelCard):
    """How to use a detector; the first fields are those of `ModelCard`.

    Defaults of preprocessing are those of the decoder's family, see `FAMILIES`.

    Args:
        decoder: how the answer is read: "yolox", "yolov8", "detr" (DETR, RT-DETR, RF-DETR: class scores and boxes),
            "ssd" (rows of image, label, score and box in [0, 1], as Open Model Zoo's detectors give them) or
            "ready" (labels, boxes and scores made by the graph itself).
        person: class numbers that are people.
        activation: of class scores, for "detr": "sigmoid", or "softmax" with "no object" as its last class.
        strides: of the grids, for "yolox".
        sizes: input that takes the frame's size, for "ready"; its boxes are then pixels of the frame.
        score: boxes below this score are left out; low ones still help the tracker.
        overlap: of two boxes with more intersection over union than this, the better stays; 1 keeps both.
    """

    decoder: Literal["yolox", "yolov8", "detr", "ssd", "ready"]
    pad: int = Field(114, ge=0, le=255)
    person: tuple[int, ...] = Field((0,), min_length=1)
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    strides: tuple[int, ...] = Field((8, 16, 32), min_length=1)
    sizes: str | None = None
    score: float = Field(0.1, ge=0, le=1)
    overlap: float = Field(0.65, gt=0, le=1)


FAMILIES: dict[str, dict[str, object]] = {
    "yolox": {"channels": "bgr", "scale": 1.0, "fit": "corner"},
    "yolov8": {"fit": "centre"},
    "detr": {"overlap": 1.0},
    "ssd": {"channels": "bgr", "scale": 1.0, "person": (1,)},
    "ready": {"overlap": 1.0},
}


def read_card(path: Path) -> tuple[DetectorCard, Path]:
    """Read the card of a detector, named by itself or by the model that it describes.

    Args:
        path: ``NAME.json``, or the model file with ``NAME.json`` beside it.

    Returns:
        The card and the path of the model.

    Raises:
        CheckpointError: card or model cannot be used; see `unveil.runtime.card.read_model_card`.
    """

    def family(found: Mapping[str, Any]) -> Mapping[str, Any]:
        return FAMILIES.get(str(found.get("decoder")), {})

    return read_model_card(path, DetectorCard, what="a detector", example=EXAMPLE, defaults=family)
