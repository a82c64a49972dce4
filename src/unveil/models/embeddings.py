"""Embeddings with the crops that they belong to, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from unveil.atomic_io import atomic_path
from unveil.errors import CheckpointError, DataError
from unveil.models.summary import ModelIdentity, ModelSummary
from unveil.records import LABEL_COLUMNS, Embedding, Sample

FORMAT = 1


@dataclass(frozen=True)
class EmbeddedCrops:
    """N crops and their embedding, with fingerprint, name and licence of the model that made it."""

    embedding: Embedding
    samples: tuple[Sample, ...]
    fingerprint: str
    source: str = ""
    model: str = ""
    licence: str = ""

    @property
    def identity(self) -> ModelIdentity:
        """The model that made the embedding."""
        return ModelIdentity(self.fingerprint, self.model, self.licence)

    def __post_init__(self) -> None:
        if len(self.embedding) != len(self.samples):
            raise ValueError(f"{len(self.embedding)} embeddings for {len(self.samples)} samples")


def embedded_by(
    model: ModelSummary, embedding: Embedding, *, samples: tuple[Sample, ...], source: str = ""
) -> EmbeddedCrops:
    """Return crops and their embedding with what is to be known of the model that made it."""
    return EmbeddedCrops(embedding, samples, model.fingerprint, source, model.name, model.licence)


def save_embeddings(path: Path, crops: EmbeddedCrops) -> None:
    """Write crops and embedding atomically; paths are stored absolute, encoded bytes are not stored."""
    embedding = crops.embedding.numpy()
    head = {
        "format": FORMAT,
        "names": embedding.names,
        "metric": embedding.metric,
        "weights": embedding.weights,
        "fingerprint": crops.fingerprint,
        "source": crops.source,
        "model": crops.model,
        "licence": crops.licence,
        "samples": [row_of(s) for s in crops.samples],
    }
    arrays = {"vectors": embedding.vectors, "visibility": embedding.visibility}
    with atomic_path(path) as temporary:
        try:
            save_file(
                {name: np.ascontiguousarray(array) for name, array in arrays.items()},
                temporary,
                {"unveil": json.dumps(head)},
            )
        except SafetensorError as e:
            raise OSError(str(e)) from e


def load_embeddings(path: Path) -> EmbeddedCrops:
    """Read a file of embeddings.

    Raises:
        DataError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"no embeddings at {path}: `unveil embed` makes them")
    try:
        with safe_open(path, framework="np") as f:
            head: dict[str, Any] = json.loads((f.metadata() or {})["unveil"])
            vectors, visibility = f.get_tensor("vectors"), f.get_tensor("visibility")
        if head["format"] > FORMAT:
            raise DataError(f"{path}: written in format {head['format']} by a newer unveil; this one reads {FORMAT}")
        embedding = Embedding(vectors, visibility, tuple(head["names"]), head["metric"], tuple(head["weights"]))
        check_numbers(path, embedding)
        samples = tuple(sample_of(row) for row in head["samples"])
        texts = (head["fingerprint"], head["source"], head.get("model", ""), head.get("licence", ""))
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"fingerprint, source, model and licence: expected texts, found {texts}")
        return EmbeddedCrops(embedding, samples, *texts)
    except (SafetensorError, OSError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as e:
        raise DataError(f"{path} is not a file of embeddings, or is damaged: {e}") from None


def check_numbers(path: Path, embedding: Embedding) -> None:
    """Raise DataError unless the numbers of an embedding from a file are finite and its visibilities in [0, 1]."""
    if not embedding.is_finite:
        raise DataError(f"{path} holds vectors that are NaN or infinite: embed the crops again with a sound model")
    if ((embedding.visibility < 0) | (embedding.visibility > 1)).any():
        raise DataError(f"{path} holds visibilities outside [0, 1]: embed the crops again with a sound model")


def same_model(query: EmbeddedCrops, gallery: EmbeddedCrops) -> None:
    """Raise CheckpointError unless both were made by the same model."""
    same_fingerprint(query.fingerprint, gallery.fingerprint)


def same_fingerprint(query: str, other: str, *, what: str = "the gallery") -> None:
    """Raise CheckpointError unless the model of a query is that of what it is compared with."""
    if query != other:
        raise CheckpointError(
            f"the query was embedded by model {query}, {what} by {other}: embed both with the same model"
        )


def row_of(sample: Sample) -> dict[str, Any]:
    """Return what files of embeddings keep of a crop: key, absolute path, labels; encoded bytes are not kept."""
    row: dict[str, Any] = {"key": sample.key, "path": str(sample.path.resolve()) if sample.path else None}
    row |= {name: getattr(sample, name) for name in (*LABEL_COLUMNS, "time", "split")}
    return row | {"extra": dict(sample.extra)}


def sample_of(row: dict[str, Any]) -> Sample:
    """Return the crop that `row_of` described."""
    path = row.pop("path")
    # A crop that came as bytes has no file to show; its key still names it.
    return Sample(path=Path(path) if path else None, data=None if path else b"", **row)
