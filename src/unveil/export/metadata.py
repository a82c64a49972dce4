"""What an exported file says of itself: the card of the model, its space, and what a user must know."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from unveil.data.fitting import CropSize
from unveil.errors import CheckpointError
from unveil.models.card import Card, read_card
from unveil.models.summary import ModelSummary
from unveil.records import Metric

FORMAT = 1
KEY = "unveil"
NO_CARD = (
    "`unveil export` makes files that do; for a model of another project `unveil models add FILE --like ...` writes one"
)


@dataclass(frozen=True)
class SpaceInfo:
    """What the vectors of a model are, and how the model wants to be fed.

    Args:
        names: names of the E vectors.
        dimension: D, numbers in each vector.
        metric: per-vector distance.
        weights: E constants.
        input: preprocessing: height, width, interpolation, mean, std; where its aspect is kept also fit and pad.
    """

    names: tuple[str, ...]
    dimension: int
    metric: Metric
    weights: tuple[float, ...]
    input: dict[str, Any]

    @property
    def crop_size(self) -> CropSize:
        """Size of the crops that the model takes, and how images are brought to it."""
        return CropSize(
            **{field.name: self.input[field.name] for field in fields(CropSize) if field.name in self.input}
        )


@dataclass(frozen=True)
class ModelMetadata:
    """What an exported file says of itself: the card of the model, its space, and what a user must know."""

    card: Card
    space: SpaceInfo
    notes: tuple[str, ...] = ()

    def summary(self, name: str) -> ModelSummary:
        """Return what people are told of the model of that name."""
        return self.card.summary(name)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model: the same whatever runs it."""
        return self.card.fingerprint

    def to_json(self) -> str:
        """Return the text that is kept in the file."""
        return json.dumps(
            {"format": FORMAT, "card": self.card.model_dump(mode="json"), "space": asdict(self.space),
             "notes": self.notes}
        )  # fmt: skip


def read_metadata(text: str | None, source: str) -> ModelMetadata:
    """Read what an exported file says of itself.

    Raises:
        CheckpointError: it says nothing, or was written by a newer version.
    """
    try:
        found = json.loads(text or "")
        number, card, space, notes = found["format"], json.dumps(found["card"]), found["space"], found["notes"]
        info = SpaceInfo(
            tuple(space["names"]), space["dimension"], space["metric"], tuple(space["weights"]), space["input"]
        )
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{source} holds no card: {NO_CARD}") from None
    if number > FORMAT:
        raise CheckpointError(f"{source}: written in format {number} by a newer unveil; this one reads {FORMAT}")
    return ModelMetadata(read_card(card, source), info, tuple(notes))
