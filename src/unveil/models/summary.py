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
        start: what its backbone started from, in words; "" where that is not known.
    """

    name: str
    fingerprint: str
    method: str
    backbone: str = ""
    datasets: tuple[str, ...] = ()
    trained_on: str = ""
    licence: str = ""
    start: str = ""

    @property
    def title(self) -> str:
        """A line for the head of a table: name, fingerprint, method, backbone and start."""
        backbone = f" on {self.backbone}" if self.backbone else ""
        return f"{self}: {self.method}{backbone}" + (f", started from {self.start}" if self.start else "")

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"
