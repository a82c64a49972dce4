"""What the catalogue says of a model that somebody publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from unveil.models.catalogue.digest import Digest

VIPER = "VIPeR (ten splits, viper#fd7b93ae)"
Task = Literal["reid", "detector"]


@dataclass(frozen=True)
class PublishedFile:
    """A file at its publisher.

    Args:
        address: where it is.
        size: bytes.
        digest: what it must be.
        name: what it is called here.
    """

    address: str
    size: int
    digest: Digest
    name: str


@dataclass(frozen=True)
class KnownModel:
    """A published model.

    Args:
        name: by which it is called here.
        task: what it does.
        about: the same in a few words.
        files: the model first, then its weights where it has them in a file of their own.
        card: how it is fed, as values of its card; see `unveil.models.foreign.reid_card.ReidCard` and
            `unveil.video.card.DetectorCard`.
        licence: of the weights.
        source: page of the publisher.
        trained_on: what its publisher says that it was trained on.
        claims: figures of its publisher.
        measured: our own figures, with the protocol.
        restriction: what its terms forbid; a model with one has to be accepted before it is fetched.
        rank: of a detector, which one is taken where several are installed; the largest.
    """

    name: str
    task: Task
    about: str
    files: tuple[PublishedFile, ...]
    card: Mapping[str, Any]
    licence: str
    source: str
    trained_on: str = "not stated"
    claims: str = ""
    measured: Mapping[str, str] = field(default_factory=dict)
    restriction: str = ""
    rank: int = 0

    @property
    def size(self) -> int:
        """Bytes of all of its files."""
        return sum(file.size for file in self.files)
