"""The card of a parsing network, a JSON file beside the model: what it eats, what it answers, in which label set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unveil.errors import DataError, nearest
from unveil.parsing.labels import get_scheme


class Foreground(BaseModel):
    """A second output that tells person from background, for models whose classes know no background.

    ``threshold`` is on the raw output: 0 for logits, 0.5 for probabilities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    threshold: float = 0.0


class Visibility(BaseModel):
    """An output ``(N, parts)`` that tells how much of each part shows, in [0, 1]; hidden and cut-off parts count."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    parts: tuple[str, ...] = Field(min_length=1)


class ParserCard(BaseModel):
    """How to use an ONNX segmentation model.

    Args:
        model: file of the model, beside the card.
        scheme: label set of the maps that it makes; with ``tables``, the one it makes unless asked for another.
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
        tables: label of each class in several label sets, for a model that tells more than any one of them.
        foreground: output that tells the person from the background.
        visibility: output that tells how much of each part shows.
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
    tables: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    foreground: Foreground | None = None
    visibility: Visibility | None = None
    about: str = ""
    licence: str = ""

    def table_of(self, scheme: str | None = None) -> tuple[int, ...] | None:
        """Return the label of each class in a label set, the card's own by default; ``None``: the class is the label.

        Raises:
            DataError: the model does not make that label set.
        """
        scheme = scheme or self.scheme
        if self.tables and scheme in self.tables:
            return self.tables[scheme]
        if not self.tables and scheme == self.scheme:
            return self.table
        known = sorted(self.tables) or [self.scheme]
        raise DataError(f"{self.model} makes no {scheme!r}{nearest(scheme, known)}; it makes {', '.join(known)}")


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
    if card.tables and (card.table or card.scheme not in card.tables):
        raise DataError(f"{path}: with tables there is no table, and the scheme {card.scheme!r} is one of them")
    for name, table in card.tables.items() or ((card.scheme, card.table or (0,)),):
        count = len(get_scheme(name).labels)
        if not table or min(table) < 0 or max(table) >= count:
            wrong = max(table, default="nothing", key=abs)
            raise DataError(f"{path}: table holds {wrong}, but {name} has the labels 0..{count - 1}")
    if not (path.parent / card.model).is_file():
        raise DataError(f"{path}: the model {path.parent / card.model} does not exist")
    return card
