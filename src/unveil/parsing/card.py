"""The card of a parsing network, a JSON file beside the model: how it is fed, and how its answer is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from unveil.data.fitting import Filter
from unveil.errors import DataError, nearest
from unveil.label_sets import get_scheme
from unveil.runtime.card import ModelCard, read_model_card

EXAMPLE = "docs/parsing.md lists its keys"


class Foreground(BaseModel):
    """A second output that tells person from background, for models whose classes know no background.

    ``threshold`` is on the raw output: 0 for logits, 0.5 for probabilities.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    threshold: float = 0.0


class Visibility(BaseModel):
    """An output ``(N, parts)`` that tells how much of each part shows, in [0, 1]; occluded and cut-off parts count."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    parts: tuple[str, ...] = Field(min_length=1)


class PersonCheck(BaseModel):
    """An output ``(N, 1)`` that tells crops of people from noise and textures.

    `unveil.parsing.training.person_check` fits it.
    A crop shows a person when its number is at least ``threshold``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    output: str
    threshold: float


class ParserCard(ModelCard):
    """How to use a segmentation model; the first fields are those of `ModelCard`.

    ``fit`` may also be "letterbox", which keeps the aspect and fills with black all around, as SCHP does.

    Args:
        scheme: label set of the maps that it makes; with ``tables``, the one it makes unless asked for another.
        table: label of each class; by default the class number is the label.
        tables: label of each class in several label sets, for a model that tells more than any one of them.
        foreground: output that tells the person from the background.
        visibility: output that tells how much of each part shows.
        person_check: output that tells whether a person is on a crop.
    """

    scheme: str
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Filter = "area"
    table: tuple[int, ...] | None = None
    tables: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    foreground: Foreground | None = None
    visibility: Visibility | None = None
    person_check: PersonCheck | None = None

    @field_validator("fit", mode="before")
    @classmethod
    def _letterbox(cls, value: Any) -> Any:
        return "centre" if value == "letterbox" else value

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
        CheckpointError: card or model cannot be used; see `unveil.runtime.card.read_model_card`.
        DataError: the card names labels that do not exist.
    """
    card, _ = read_model_card(path, ParserCard, what="a parser", example=EXAMPLE)
    if card.tables and (card.table or card.scheme not in card.tables):
        raise DataError(f"{path}: with tables there is no table, and the scheme {card.scheme!r} is one of them")
    for name, table in card.tables.items() or ((card.scheme, card.table or (0,)),):
        count = len(get_scheme(name).labels)
        if not table or min(table) < 0 or max(table) >= count:
            wrong = max(table, default="nothing", key=abs)
            raise DataError(f"{path}: table holds {wrong}, but {name} has the labels 0..{count - 1}")
    return card
