"""The card of a parsing network, a JSON file beside the model: what it eats, what it answers, in which label set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unveil.errors import DataError
from unveil.parsing.labels import get_scheme


class Foreground(BaseModel):
    """A second output that tells person from background, for models whose classes know no background.

    ``threshold`` is on the raw output: 0 for logits, 0.5 for probabilities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    threshold: float = 0.0


class ParserCard(BaseModel):
    """How to use an ONNX segmentation model.

    Args:
        model: file of the model, beside the card.
        scheme: label set of the maps that it makes.
        height: input height in pixels.
        width: input width in pixels.
        layout: order of input and output axes.
        channels: order of colours.
        scale: pixels 0..255 are multiplied by this, before mean and deviation.
        mean: subtracted from each channel, in the order of ``channels``.
        std: divides each channel.
        fit: "stretch" resizes to the input; "letterbox" keeps the aspect and fills with black (as SCHP does).
        output: name of the output with class scores, or with labels; the first one by default.
        table: label of each class; by default the class number is the label.
        foreground: output that tells the person from the background.
        about: where the model comes from.
        licence: its licence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    scheme: str
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    layout: Literal["nchw", "nhwc"] = "nchw"
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fit: Literal["stretch", "letterbox"] = "stretch"
    output: str | None = None
    table: tuple[int, ...] | None = None
    foreground: Foreground | None = None
    about: str = ""
    licence: str = ""


def read_card(path: Path) -> ParserCard:
    """Read and check a card.

    Raises:
        DataError: the file is missing, no JSON, has an unknown or missing key, or names labels that do not exist.
    """
    try:
        card = ParserCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as e:
        raise DataError(f"{path}: cannot read the card of the parser: {e.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise DataError(f"{path}: the card of the parser is no JSON: {e}") from None
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors())
        raise DataError(f"{path}: {problems}") from None
    count = len(get_scheme(card.scheme).labels)
    if card.table and max(card.table) >= count:
        raise DataError(f"{path}: table holds {max(card.table)}, but {card.scheme} has the labels 0..{count - 1}")
    if not (path.parent / card.model).is_file():
        raise DataError(f"{path}: the model {path.parent / card.model} does not exist")
    return card
