"""The card of a ReID model of another project, a JSON file beside its ONNX or OpenVINO file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import Field, model_validator

from unveil.data.fitting import Filter
from unveil.files import sha256
from unveil.records import Metric
from unveil.runtime.card import ModelCard, read_model_card
from unveil.runtime.session import model_files

EXAMPLE = "`unveil models add FILE --like osnet|omz|imagenet|...` writes one"
# What changes no vector is not part of the fingerprint: a corrected licence must not make a gallery unusable.
_WORDS = {"model", "sha256", "weights_sha256", "about", "source", "trained_on", "licence"}


class ReidCard(ModelCard):
    """How a ReID model is fed and what its vectors are; the first fields are those of `ModelCard`.

    Args:
        metric: distance by which its vectors are compared.
        normalise: divide each vector by its length, which matters to "euclidean" only.
        mirror: also embed the mirrored crop, and add both vectors.
        names: names of the E vectors of a crop; the output then is ``(n, E, D)`` or ``(n, E * D)``.
        visibility: name of an output ``(n, E)`` in [0, 1]; all vectors are visible without it.
    """

    metric: Metric
    normalise: bool = True
    mirror: bool = False
    names: tuple[str, ...] = Field(("global",), min_length=1, max_length=64)
    visibility: str | None = None
    interpolation: Filter = "bilinear"

    @model_validator(mode="after")
    def _names_differ(self) -> ReidCard:
        if len(set(self.names)) != len(self.names) or not all(self.names):
            raise ValueError(f"names: expected different words, found {', '.join(self.names)}")
        return self


def read_reid_card(path: Path) -> tuple[ReidCard, Path]:
    """Read the card of a ReID model, named by itself or by the model; return it with the path of the model.

    Raises:
        CheckpointError: card or model cannot be used; see `unveil.runtime.card.read_model_card`.
    """
    return read_model_card(path, ReidCard, what="a ReID model of another project", example=EXAMPLE)


def fingerprint(card: ReidCard, model: Path) -> str:
    """Return the hash of a model's files and of all of its card that changes vectors (16 hex digits)."""
    rules = card.model_dump(mode="json", exclude=_WORDS)
    digest = hashlib.sha256(json.dumps(rules, sort_keys=True).encode())
    for part in model_files(model):
        digest.update(sha256(part).encode())
    return digest.hexdigest()[:16]
