"""The card of a trained model: what it is, what it saw, how it must be fed, and what it scored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from unveil import __version__
from unveil.errors import CheckpointError, UnveilError
from unveil.models.summary import ModelSummary

MAX_HEADER = 100_000_000  # bytes
# 2: what the backbone started from; 3: adaptation to unlabelled crops; 4: time of training; 5: the fingerprint follows
# method and backbone; 6: what it was trained on, in words.
FORMAT = 6
FINGERPRINT_OF_RECIPE = 5


class Source(BaseModel):
    """A dataset that a model was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    hash: str
    images: int
    persons: int


class Start(BaseModel):
    """What the weights of a backbone were before training.

    Args:
        kind: "imagenet" (published ImageNet weights), "random", "unveil" (weights of this package), "file", or "none"
            where the method has no backbone.
        name: name of the file, or ``unveil:NAME``; empty for the kinds without a file.
        sha256: of the file, 64 hex digits; empty where there is none.
        licence: of the file, as its publisher or its card says.
        source: address where the publisher offers it, where known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["imagenet", "random", "unveil", "file", "none"]
    name: str = ""
    sha256: str = ""
    licence: str = "unstated"
    source: str = ""

    def __str__(self) -> str:
        if not self.name:
            return "no network" if self.kind == "none" else "random weights"
        return f"{'ImageNet, ' if self.kind == 'imagenet' else ''}{self.name} ({self.licence})"


class Adaptation(BaseModel):
    """How a model was adapted to crops without labels, by `unveil.adaptation`.

    Args:
        base: fingerprint of the model that was adapted.
        data: the crops, with hashes; ``persons`` is 0, since nobody was named. The model is derived from these
            people's data: what the law asks of the crops it asks of the model.
        galleries: galleries that the crops came from.
        cameras: labels of the cameras whose normalisation statistics, or mean vectors, the file holds.
        stages: what was done: "statistics", "tracklets", "clusters", "whitening".
        evaluation: figures before and after on tracklets that were held out; empty where there were none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    base: str
    data: tuple[Source, ...]
    galleries: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    stages: tuple[str, ...]
    evaluation: dict[str, Any] = Field(default_factory=dict, validation_alias=AliasChoices("evaluation", "judged"))


class Card(BaseModel):
    """Travels inside the weights file and, for people, as JSON beside it.

    Args:
        recipe: the resolved recipe: method, backbone, preprocessing and training.
        persons: identities of the training set; sizes the identity heads.
        clothes: outfits of the training set.
        outfits: identity code of each outfit code.
        parsing_scheme: label space of the parsing maps that the model was trained with.
        data: what it was trained on, with hashes.
        content: hash over the pixels of the training set.
        epoch: epochs finished.
        device: what it was trained on.
        seconds: that its steps took there, by the clock, over all parts of a resumed run; None where not known.
        figures: evaluation results, each with its protocol and hash.
        fingerprint: hash of the weights, the preprocessing and, from format 5 on, method and backbone (16 hex digits):
            embeddings of models with different fingerprints cannot be compared.
        licence: licence of the weights.
        trained_on: what it was trained on, in words, as cards of models of others have it; "" where ``data`` says it.
        start: what the backbone started from; None on cards of format 1.
        adaptation: how it was adapted to crops without labels; None for a model that was not.
        intended_use: what it was made for.
        limits: what it cannot do, and what is not known of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int = FORMAT
    unveil: str = __version__
    recipe: dict[str, Any]
    persons: int = Field(ge=1)
    clothes: int = Field(0, ge=0)
    outfits: tuple[int, ...] = ()
    parsing_scheme: str | None = None
    data: tuple[Source, ...] = ()
    content: str = ""
    epoch: int = 0
    device: str = ""
    seconds: float | None = None
    figures: tuple[dict[str, Any], ...] = ()
    fingerprint: str = ""
    licence: str = "unstated"
    trained_on: str = ""
    start: Start | None = None
    adaptation: Adaptation | None = None
    intended_use: str = ""
    limits: str = ""

    @property
    def started_from(self) -> str:
        """What the backbone started from, in words, for tables."""
        return str(self.start) if self.start else "not recorded"

    def summary(self, name: str) -> ModelSummary:
        """Return what people are told of the model of that name."""
        method, backbone = (self.recipe.get(key, {}).get("name", "") for key in ("method", "backbone"))
        datasets = tuple(source["name"] for source in self.recipe.get("data", {}).get("train", ()))
        return ModelSummary(
            name, self.fingerprint, method, backbone, datasets=datasets,
            dataset_hashes=tuple(source.hash for source in self.data),
            trained_on=self.trained_on or ", ".join(datasets), licence=self.licence, start=self.started_from,
        )  # fmt: skip


def read_card(text: str, source: str) -> Card:
    """Parse a card.

    Raises:
        CheckpointError: the text is not a card, or was written by a newer version.
    """
    try:
        tree = json.loads(text)
        if isinstance(tree, dict) and isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
            raise CheckpointError(
                f"{source}: written by unveil {tree.get('unveil', 'of a newer version')} in format {tree['format']}, "
                f"this is {__version__} and reads up to {FORMAT}: install a newer unveil"
            )
        return Card.model_validate(tree)
    except ValidationError as e:
        raise CheckpointError(f"{source}: the card is damaged or of another tool: {e.errors()[0]['msg']}") from None
    except (ValueError, RecursionError) as e:
        raise CheckpointError(f"{source}: the card is no JSON: {e}") from None


def card_in_header(weights: Path) -> Card | None:
    """Return the card in the header of a file of weights; ``None`` where it cannot be read."""
    try:
        with weights.open("rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header: Any = json.loads(f.read(length)) if length <= MAX_HEADER else None
        return read_card(header["__metadata__"]["card"], str(weights))
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UnveilError):
        return None  # whoever loads the weights says what is wrong with them
