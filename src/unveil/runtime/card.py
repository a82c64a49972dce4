"""The card of a model file: a JSON file beside it that says how images are fed to it and where it comes from.

Cards of ReID models, detectors and parsers add to this base what is theirs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from unveil.atomic_io import sha256
from unveil.data.fitting import Filter, Fit
from unveil.errors import CheckpointError
from unveil.runtime.graph import model_files
from unveil.runtime.session import SUFFIXES

MAX_SIDE = 8192  # pixels
MAX_BYTES = 4_000_000  # of a card; a parser's with tables for several label sets has some ten thousand
# The required key by which a card of each kind is told from the others.
KINDS = {"metric": "a ReID model", "decoder": "a detector", "scheme": "a parser", "recipe": "a model of unveil"}


class ModelCard(BaseModel):
    """How a model file is fed, and what it is.

    Args:
        model: file of the model, beside the card unless the path is absolute; ``.onnx``, or ``.xml`` with its ``.bin``.
        width: input width in pixels.
        height: input height in pixels.
        layout: order of the input's axes.
        channels: order of colours.
        scale: pixels 0..255 are multiplied by this, before mean and std.
        mean: subtracted from each channel, in the order of ``channels``.
        std: divides each channel.
        fit: "stretch" to the input; "corner" keeps the aspect and pads right and below; "centre" pads all around.
        pad: value of padded pixels, 0..255.
        interpolation: "bilinear" and "bicubic" antialias when they shrink; "linear" does not; "area" averages where the
            height shrinks by more than two and is linear otherwise.
        input: name of the input; the first one by default.
        output: name of the output that is read; the first one by default.
        sha256: of the model file; checked when given.
        weights_sha256: of the ``.bin`` of an ``.xml``; checked when given.
        about: what it is, in a sentence.
        source: where it was had from.
        trained_on: what its publisher says that it was trained on.
        licence: of the weights.
        figures: how well it does, in words, and on what.
        intended_use: what it was made for.
        limits: what it cannot do, and what is not known of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    model: str = Field(min_length=1)
    width: int = Field(gt=0, le=MAX_SIDE)
    height: int = Field(gt=0, le=MAX_SIDE)
    layout: Literal["nchw", "nhwc"] = "nchw"
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: float = Field(1 / 255, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    fit: Fit = "stretch"
    pad: int = Field(0, ge=0, le=255)
    interpolation: Filter = "linear"
    input: str | None = None
    output: str | None = None
    sha256: str | None = None
    weights_sha256: str | None = None
    about: str = ""
    source: str = ""
    trained_on: str = ""
    licence: str = ""
    figures: str = ""
    intended_use: str = ""
    limits: str = ""

    @field_validator("std")
    @classmethod
    def _divides(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) <= 0:
            raise ValueError(f"expected numbers above 0, found {value}")
        return value


Kind = TypeVar("Kind", bound=ModelCard)


def card_path(path: Path) -> Path:
    """Return the file of the card of a model that is named by itself or by its card."""
    return path.with_suffix(".json") if path.suffix.lower() in SUFFIXES else path


def read_model_card(
    path: Path,
    kind: type[Kind],
    *,
    what: str,
    example: str,
    defaults: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda found: {},
) -> tuple[Kind, Path]:
    """Read a card, named by itself or by the model that it describes, and check the model that it names.

    Args:
        path: ``NAME.json``, or the model file with ``NAME.json`` beside it.
        kind: class of the card.
        what: what errors call the model, for example "a detector".
        example: a card to show where there is none.
        defaults: gives the values of keys that the card leaves out, for a card as it was read.

    Returns:
        The card and the path of the model.

    Raises:
        CheckpointError: card or model is missing, the card is no JSON, lacks a key or has wrong ones, it is the card of
            another kind of model, or the model is not the file that the card was written for.
    """
    card = card_path(path)
    if not card.is_file():
        raise CheckpointError(f"{path}: {what} needs a card, and {card} does not exist; {example}")
    found = read_json(card)
    _same_kind(card, found, kind=kind, what=what)
    try:
        read = kind.model_validate(dict(defaults(found)) | found)
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'card'}: {p['msg']}" for p in e.errors())
        raise CheckpointError(f"{card}: {problems}; {example}") from None
    return read, checked_model(card, read)


def read_json(card: Path) -> dict[str, Any]:
    """Read a card as it is written.

    Raises:
        CheckpointError: it cannot be read, is too large, or is no JSON object.
    """
    try:
        if card.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{card}: {card.stat().st_size:,} bytes are no card of a model")
        found = json.loads(card.read_text(encoding="utf-8"))
    except OSError as e:
        raise CheckpointError(f"{card}: cannot read the card: {e.strerror}") from None
    except (ValueError, RecursionError) as e:
        raise CheckpointError(f"{card}: the card is no JSON: {e}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{card}: expected a card, a JSON object, found {type(found).__name__}")
    return found


def kind_of(found: Mapping[str, Any]) -> str | None:
    """Return what a card as it was read describes, one of `KINDS`; ``None`` where it cannot be told."""
    return next((name for key, name in KINDS.items() if key in found), None)


def checked_model(card: Path, read: ModelCard) -> Path:
    """Return the model file of a card.

    Raises:
        CheckpointError: it is missing, has weights in other files, or is not the file that the card was written for.
    """
    model = card.parent / read.model
    for part, expected in zip(model_files(model), (read.sha256, read.weights_sha256), strict=False):
        if not part.is_file() and part != model:
            raise CheckpointError(f"{model}: its weights {part.name} are missing: both files belong in one folder")
        if not part.is_file():
            raise CheckpointError(f"{card}: the model {part} does not exist")
        if expected is not None and sha256(part) != expected.lower():
            raise CheckpointError(f"{part}: not the model that {card.name} was written for: its SHA-256 differs")
    return model


def _same_kind(card: Path, found: Mapping[str, Any], *, kind: type[ModelCard], what: str) -> None:
    other = kind_of(found)
    own = next((name for key, name in KINDS.items() if key in kind.model_fields), None)
    if other is not None and own is not None and other != own:
        raise CheckpointError(f"{card} is the card of {other}; {what} is wanted here")
