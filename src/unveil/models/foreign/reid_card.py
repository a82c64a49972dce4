"""The card of a ReID model of another project, a JSON file beside its ONNX or OpenVINO file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unveil.atomic_io import sha256
from unveil.data.fitting import Filter
from unveil.errors import CheckpointError
from unveil.models.card import Adaptation
from unveil.models.foreign.camera_centres import CameraCentres
from unveil.records import Metric
from unveil.runtime.card import ModelCard, read_model_card
from unveil.runtime.graph import model_files

EXAMPLE = "`unveil models add FILE --like osnet|omz|imagenet|...` writes one"
# What changes no vector is not part of the fingerprint: a corrected licence must not make a gallery unusable.
_WORDS = {"model", "sha256", "weights_sha256", "about", "source", "trained_on", "licence", "adaptation"}


class CentresFile(BaseModel):
    """Mean vectors of cameras, which are taken from those of each crop.

    Args:
        file: name of the file beside the card.
        sha256: of the file.
        cameras: labels of its rows, after the first, which is of all cameras together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str = Field(pattern=r"^[^/\\\\]+$", max_length=255)
    sha256: str
    cameras: tuple[str, ...]


class ReidCard(ModelCard):
    """How a ReID model is fed and what its vectors are; the first fields are those of `ModelCard`.

    Args:
        metric: distance by which its vectors are compared.
        normalise: divide each vector by its length, which matters to "euclidean" only.
        mirror: also embed the mirrored crop, and add both vectors.
        names: names of the E vectors of a crop; the output then is ``(n, E, D)`` or ``(n, E * D)``.
        visibility: name of an output ``(n, E)`` in [0, 1]; all vectors are visible without it.
        centres: of a model that `unveil adapt` adapted to cameras.
        adaptation: how it was adapted, and to whose crops.
    """

    metric: Metric
    normalise: bool = True
    mirror: bool = False
    names: tuple[str, ...] = Field(("global",), min_length=1, max_length=64)
    visibility: str | None = None
    interpolation: Filter = "bilinear"
    centres: CentresFile | None = None
    adaptation: Adaptation | None = None

    @property
    def compares_directions(self) -> bool:
        """Whether lengths of vectors count for nothing."""
        return self.normalise or self.metric == "cosine"

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


def read_centres(card: ReidCard, model: Path) -> CameraCentres | None:
    """Return the mean vectors of cameras that lie beside a model; ``None`` where its card names none.

    Raises:
        CheckpointError: the file is missing, damaged, or not the one that the card was written for.
    """
    if card.centres is None:
        return None
    path = model.parent / card.centres.file
    if not path.is_file() or sha256(path) != card.centres.sha256:
        raise CheckpointError(
            f"{path}: {'not the file that the card was written for' if path.is_file() else 'missing'}: {model.name}, "
            "its card and its mean vectors belong in one folder"
        )
    return CameraCentres.load(path, card.centres.cameras)


def fingerprint(card: ReidCard, model: Path) -> str:
    """Return the hash of a model's files and of all of its card that changes vectors (16 hex digits)."""
    rules = card.model_dump(mode="json", exclude=_WORDS)
    digest = hashlib.sha256(json.dumps(rules, sort_keys=True).encode())
    for part in model_files(model):
        digest.update(sha256(part).encode())
    return digest.hexdigest()[:16]
