"""What people are told of a model, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSummary:
    """What people are told of a model.

    Args:
        name: what it is called in answers, tables and curves.
        fingerprint: embeddings of models with different fingerprints cannot be compared (16 hex digits).
        method: how it was trained, "external" for a model of another project.
        backbone: its network, "" where that is not known.
        datasets: names of the datasets that it was trained on, as far as they are known by name.
        trained_on: the same in words.
        licence: of its weights.
    """

    name: str
    fingerprint: str
    method: str
    backbone: str = ""
    datasets: tuple[str, ...] = ()
    trained_on: str = ""
    licence: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"
