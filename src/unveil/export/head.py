"""What an exported file says of itself: the card of the model, its space, and what a user must know."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from unveil.errors import CheckpointError
from unveil.models.card import Card, read_card
from unveil.records import Metric

if TYPE_CHECKING:
    from unveil.models.checkpoint import TrainedModel

FORMAT = 1
KEY = "unveil"


@dataclass(frozen=True)
class SpaceInfo:
    """What the vectors of a model are, and how the model wants to be fed.

    Args:
        names: names of the E vectors.
        dimension: D, numbers in each vector.
        metric: per-vector distance.
        weights: E constants.
        input: preprocessing: height, width, interpolation, mean, std.
    """

    names: tuple[str, ...]
    dimension: int
    metric: Metric
    weights: tuple[float, ...]
    input: dict[str, Any]


@dataclass(frozen=True)
class Head:
    """What an exported file says of itself: the card of the model, its space, and what a user must know."""

    card: Card
    space: SpaceInfo
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the text that is kept in the file."""
        return json.dumps(
            {"format": FORMAT, "card": self.card.model_dump(mode="json"), "space": asdict(self.space),
             "notes": self.notes}
        )  # fmt: skip


def head_of(model: TrainedModel) -> Head:
    """Return what an export of a model says of itself; the method is asked once with an empty crop."""
    import torch

    from unveil.export.graph import Graph

    size = model.input
    with torch.inference_mode():
        found = Graph(model).embed(torch.zeros(1, size.height, size.width, 3, dtype=torch.uint8, device=model.device))
    weights = tuple(map(float, found.weights))
    space = SpaceInfo(found.names, found.vectors.shape[2], found.metric, weights, size.model_dump(mode="json"))
    notes = []
    if wanted := model.method.needs.test_parsing:
        notes.append(
            f"method {model.recipe.method.name} can look at {wanted} parsing maps at test; "
            "here it embeds without them, as it does for crops that have none"
        )
    return Head(model.card, space, tuple(notes))


def read_head(text: str | None, source: str) -> Head:
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
        raise CheckpointError(f"{source} holds no card: `unveil export` makes files that do") from None
    if number > FORMAT:
        raise CheckpointError(f"{source}: written in format {number} by a newer unveil; this one reads {FORMAT}")
    return Head(read_card(card, source), info, tuple(notes))
