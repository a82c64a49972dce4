"""What people are told of a model, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass

UNSTATED = "unstated"


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made the vectors that an answer was computed from.

    Args:
        fingerprint: of the model (16 hex digits).
        name: what it is called; "" in files and galleries that were made before names were kept.
        licence: of its weights; "" or "unstated" where it is not known.
    """

    fingerprint: str
    name: str = ""
    licence: str = ""

    def to_dict(self) -> dict[str, str | None]:
        """Return name, fingerprint and licence for JSON; ``None`` for what is not known."""
        licence = None if self.licence in ("", UNSTATED) else self.licence
        return {"name": self.name or None, "fingerprint": self.fingerprint, "licence": licence}

    def __str__(self) -> str:
        named = f"{self.name} ({self.fingerprint})" if self.name else self.fingerprint
        return f"{named}, licence {self.to_dict()['licence'] or 'not stated'}"


@dataclass(frozen=True)
class ModelSummary:
    """What people are told of a model.

    Args:
        name: what it is called in answers, tables and curves.
        fingerprint: embeddings of models with different fingerprints cannot be compared (16 hex digits).
        method: how it was trained, "external" for a model of another project.
        backbone: its network, "" where that is not known.
        datasets: names of the datasets that it was trained on, as far as they are known by name.
        dataset_hashes: of their labels and splits (`unveil.records.Dataset.hash`), as far as they are known.
        trained_on: the same in words.
        licence: of its weights.
        start: what its backbone started from, in words; "" where that is not known.
    """

    name: str
    fingerprint: str
    method: str
    backbone: str = ""
    datasets: tuple[str, ...] = ()
    dataset_hashes: tuple[str, ...] = ()
    trained_on: str = ""
    licence: str = ""
    start: str = ""

    @property
    def identity(self) -> ModelIdentity:
        """What answers say of the model."""
        return ModelIdentity(self.fingerprint, self.name, self.licence)

    @property
    def title(self) -> str:
        """A line for the head of a table: name, fingerprint, method, backbone and start."""
        backbone = f" on {self.backbone}" if self.backbone else ""
        return f"{self}: {self.method}{backbone}" + (f", started from {self.start}" if self.start else "")

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint})"
