"""The card of a detector, a JSON file beside an ONNX model: what it eats, and how its answer is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unveil.errors import DataError
from unveil.files import sha256

EXAMPLE = (
    '{"model": "NAME.onnx", "decoder": "yolox", "width": 416, "height": 416, "licence": "Apache-2.0"}; '
    "docs/video.md lists the other keys"
)


class DetectorCard(BaseModel):
    """How to use an ONNX detector. Defaults of preprocessing are those of the decoder's family, see `FAMILIES`.

    Args:
        model: file of the model, beside the card unless the path is absolute.
        decoder: how the answer is read: "yolox", "yolov8", "detr" (DETR, RT-DETR, RF-DETR: class scores and boxes) or
            "ready" (labels, boxes and scores made by the graph itself).
        width: input width in pixels.
        height: input height in pixels.
        layout: order of the input's axes.
        channels: order of colours.
        scale: pixels 0..255 are multiplied by this, before mean and deviation.
        mean: subtracted from each channel, in the order of ``channels``.
        std: divides each channel.
        fit: "stretch" to the input; "corner" keeps the aspect and pads right and below; "centre" pads all around.
        pad: value of padded pixels, 0..255.
        person: class numbers that are people.
        activation: of class scores, for "detr": "sigmoid", or "softmax" with "no object" as its last class.
        strides: of the grids, for "yolox".
        sizes: input that takes the frame's size, for "ready"; its boxes are then pixels of the frame.
        score: boxes below this score are left out; low ones still help the tracker.
        overlap: of two boxes with more intersection over union than this, the better stays; 1 keeps both.
        sha256: of the model file; checked when given.
        about: where the model comes from.
        licence: its licence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    decoder: Literal["yolox", "yolov8", "detr", "ready"]
    width: int = Field(gt=0, le=8192)
    height: int = Field(gt=0, le=8192)
    layout: Literal["nchw", "nhwc"] = "nchw"
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fit: Literal["stretch", "corner", "centre"] = "stretch"
    pad: int = Field(114, ge=0, le=255)
    person: tuple[int, ...] = Field((0,), min_length=1)
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    strides: tuple[int, ...] = Field((8, 16, 32), min_length=1)
    sizes: str | None = None
    score: float = Field(0.1, ge=0, le=1)
    overlap: float = Field(0.65, gt=0, le=1)
    sha256: str | None = None
    about: str = ""
    licence: str = ""


FAMILIES: dict[str, dict[str, object]] = {
    "yolox": {"channels": "bgr", "scale": 1.0, "fit": "corner"},
    "yolov8": {"fit": "centre"},
    "detr": {"overlap": 1.0},
    "ready": {"overlap": 1.0},
}


def read_card(path: Path) -> tuple[DetectorCard, Path]:
    """Read the card of a detector, named by itself or by the model that it describes.

    Args:
        path: ``NAME.json``, or ``NAME.onnx`` with ``NAME.json`` beside it.

    Returns:
        The card and the path of the model.

    Raises:
        DataError: card or model is missing, the card is no JSON or has wrong keys, or the model is not the one that
            the card was written for.
    """
    card = path.with_suffix(".json") if path.suffix.lower() == ".onnx" else path
    if not card.is_file():
        raise DataError(f"{path}: a detector needs a card, and {card} does not exist; write one such as {EXAMPLE}")
    try:
        found = json.loads(card.read_text(encoding="utf-8"))
        defaults = FAMILIES.get(str(found.get("decoder")), {}) if isinstance(found, dict) else {}
        read = DetectorCard.model_validate(defaults | found if isinstance(found, dict) else found)
    except OSError as e:
        raise DataError(f"{card}: cannot read the card of the detector: {e.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise DataError(f"{card}: the card of the detector is no JSON: {e}") from None
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors())
        raise DataError(f"{card}: {problems}") from None
    model = card.parent / read.model
    if not model.is_file():
        raise DataError(f"{card}: the model {model} does not exist")
    if read.sha256 is not None and sha256(model) != read.sha256.lower():
        raise DataError(f"{model}: not the model that {card.name} was written for: its SHA-256 differs")
    return read, model
