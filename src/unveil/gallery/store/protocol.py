"""The one small interface to the database of galleries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unveil.attributes.records import Attributes
from unveil.gallery import audit
from unveil.gallery.records import (
    Block,
    CropPlace,
    DerivedModel,
    EmbeddingSpace,
    Filter,
    GalleryInfo,
    Item,
    Kind,
    Standby,
)
from unveil.gallery.store.postgresql.backup import Manifest
from unveil.gallery.store.postgresql.desk.alert_tables import AlertTables
from unveil.gallery.store.postgresql.desk.cases import Cases
from unveil.gallery.store.postgresql.desk.feedback_tables import FeedbackTables
from unveil.gallery.store.postgresql.desk.group_tables import GroupTables
from unveil.gallery.store.postgresql.desk.plan_tables import PlanTables
from unveil.records import Embedding

PAGE = 500  # rows read at a time


class Store(Protocol):
    """Galleries in a database. Every method is one transaction; several processes may use one store at once.

    All methods that name a gallery raise DataError when there is none of that name (and name the nearest), and
    UnveilError when the server is down or answers too late.
    """

    finds_all: bool
    """Whether `nearest` knows every row that is there, or may miss what was just added."""
    cases: Cases
    alerts: AlertTables
    feedback: FeedbackTables
    groups: GroupTables
    plans: PlanTables

    def close(self) -> None:
        """Let go of all connections."""

    # Galleries

    def galleries(self) -> list[GalleryInfo]:
        """Return all galleries, by name."""

    def create(self, name: str, space: EmbeddingSpace, *, retention_seconds: float | None = None) -> GalleryInfo:
        """Make an empty gallery; DataError when the name is taken by another space or is no name."""

    def info(self, name: str) -> GalleryInfo:
        """Return what is known of a gallery."""

    def drop(self, name: str) -> int:
        """Remove a gallery with everything in it but its audit log; return how many rows it had."""

    def set_retention(self, name: str, retention_seconds: float | None) -> None:
        """Set after how many seconds rows expire."""

    def set_calibration(self, name: str, calibration: Mapping[str, Any] | None) -> None:
        """Keep a calibration."""

    # Rows

    def known(self, name: str, keys: Sequence[str]) -> set[str]:
        """Return which of these keys the gallery has."""

    def add(
        self,
        name: str,
        items: Sequence[Item],
        *,
        embedding: Embedding,
        job: str | None = None,
        done: Any = None,
        fingerprint: str | None = None,
    ) -> int:
        """Add rows with their vectors, and the state of the job that made them, in one transaction.

        Args:
            name: the gallery.
            items: the rows; those whose key the gallery has are left out.
            embedding: ``(N, E, D)`` numpy embedding, in order.
            job: name of a long work that resumes after a kill.
            done: its state (JSON); `job_state` returns it.
            fingerprint: of the model that embedded them; the gallery may have been switched to another one meanwhile.

        Returns:
            How many rows are new.

        Raises:
            DataError: the vectors have another shape than the gallery's, or are another model's.
        """

    def job_state(self, name: str, job: str) -> Any:
        """Return the last state of a job; ``None`` when it was never begun."""

    def items(self, name: str, ids: Sequence[int]) -> list[Item]:
        """Return rows in the order asked for; a row that is gone is left out."""

    def find(self, name: str, where: Filter, *, limit: int = 1000, after: int = 0) -> list[Item]:
        """Return rows by ascending id, those with an id greater than ``after``."""

    def crops_of(self, name: str, tracklet: str) -> list[Item]:
        """Return the stored crops of a tracklet, which is given by its key, by ascending id."""

    def crop_places(self, name: str, *, limit: int = 100_000, after: int = 0) -> list[CropPlace]:
        """Return where crops of videos were cut out, by ascending id, those with an id greater than ``after``."""

    def embeddings(self, name: str, ids: Sequence[int]) -> tuple[np.ndarray, Embedding]:
        """Return the ids that are there, ``(N,)`` in the order asked for, and their vectors as float32."""

    def ids(self, name: str, where: Filter) -> np.ndarray:
        """Return the ids of the rows that a filter lets through, ascending ``(N,)`` int64."""

    def blocks(self, name: str, ids: np.ndarray, *, size: int = 20_000) -> Iterator[Block]:
        """Return the first-stage vectors of rows, block after block, ascending; a row that is gone is left out.

        Args:
            name: the gallery.
            ids: ascending ``(N,)`` int64, from `ids`. What was added since has greater ids.
            size: rows of a block at most.
        """

    def nearest(self, name: str, query: np.ndarray, *, where: Filter, top: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids and cosine distances of the rows nearest to a first-stage vector ``(C,)``, by the engine."""

    def index(self, name: str, least: int = 300_000) -> bool:
        """Build the index behind `nearest`, if the gallery has at least so many rows; return whether it has one.

        By default from the size on at which it is faster. It may take hours; others read and write meanwhile, and
        rows added later join it. Without one `nearest` reads all rows.
        """

    # What people of rows wear and carry

    def surest(self, name: str, where: Filter, *, limit: int) -> list[Item]:
        """Return rows, those first of which the attributes that a filter asks for are surest, then the earliest."""

    def count_without_attributes(self, name: str) -> int:
        """Return how many rows have no attributes yet."""

    def missing_attributes(self, name: str, kind: Kind, *, limit: int = 64, after: int = 0) -> np.ndarray:
        """Return ids of rows of a kind, greater than ``after``, that have no attributes yet, ascending."""

    def fill_attributes(self, name: str, found: Mapping[int, Attributes]) -> int:
        """Keep the attributes of rows, by id; rows that are gone are left out; return how many were kept."""

    def forget_attributes(self, name: str) -> int:
        """Take the attributes of all rows away, so that they are estimated anew; return of how many."""

    # The vectors of a second model: made while the first answers, then switched, and kept so that it can be undone

    def begin_standby(self, name: str, space: EmbeddingSpace, *, model: str, own: str = "") -> None:
        """Say which model a gallery's second vectors are of; those of another one that never answered are removed."""

    def missing_standby(self, name: str, kind: Kind, *, limit: int = 64, after: int = 0) -> np.ndarray:
        """Return ids of rows of a kind, greater than ``after``, that have no vector of the second model, ascending."""

    def standby_of_tracklet(self, name: str, tracklet: int) -> tuple[np.ndarray, Embedding]:
        """Return the quality, ``(N,)``, and the second model's vectors of the crops of a tracklet's row."""

    def fill_standby(self, name: str, ids: Sequence[int], *, embedding: Embedding, fingerprint: str) -> int:
        """Keep vectors of the second model; rows that are gone, or have one, are left out; return how many are new."""

    def switch_model(self, name: str) -> bool:
        """Let the second model's vectors answer and keep those that did, in one transaction; False if rows lack one."""

    def drop_standby(self, name: str) -> Standby | None:
        """Remove the second model's vectors, and their bytes; return what it was."""

    def note_derived(self, name: str, model: DerivedModel, *, learnt: Sequence[int]) -> None:
        """Keep that a model was adapted to crops of a gallery; those that are removed are counted against it."""

    def derived(self, name: str) -> list[DerivedModel]:
        """Return the models that were adapted to rows of a gallery, the oldest first."""

    # Removal: the bytes of vectors, thumbnails and derived rows are gone afterwards

    def delete(self, name: str, where: Filter) -> int:
        """Remove rows and the feedback on them; return how many rows went.

        A tracklet takes its crops with it. A crop takes its tracklet, which was made of it; the other crops stay.
        """

    def count_old(self, name: str, now: float) -> int:
        """Return how many rows are older than the gallery keeps them; tracklets and crops that go with them apart."""

    def expire(self, name: str, now: float) -> int:
        """Remove rows older than the gallery keeps them."""

    # The audit log

    def log(self, entry: Mapping[str, Any]) -> str:
        """Append to the hash-chained audit log, whatever gallery it is about; return the hash of the entry.

        Args:
            entry: "who" and "action", and what is known of "role", "why", "gallery", "query" (its hash), "results"
                (ids) and "details" (JSON).
        """

    def entries(self, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Return the entries of the audit log in order, with "number", "time" and "hash", of one gallery or whole."""

    def entries_after(self, after: int, limit: int, *, gallery: str | None = None) -> list[dict[str, Any]]:
        """Return at most ``limit`` entries with a number greater than ``after``, in order."""

    def links(self) -> Iterator[audit.Link]:
        """Return the whole audit log as it is stored; `unveil.gallery.audit.wrong` checks it."""

    def head(self) -> tuple[int, str]:
        """Return number and hash that the last audit entry must have."""

    def backup(self, path: Path) -> Manifest:
        """Write the whole store to a file, as it is at this moment, while others read and write."""

    def restore(self, path: Path) -> Manifest:
        """Fill the store, which must be empty, from a backup."""

    def verify(self, name: str) -> list[str]:
        """Return everything that is wrong with a gallery (hashes, lengths, missing halves); empty when sound."""


def all_items(store: Store, name: str, *, where: Filter) -> Iterator[Item]:
    """Yield the rows that a filter lets through, by ascending id, some at a time."""
    after = 0
    while page := store.find(name, where, limit=PAGE, after=after):
        yield from page
        after = page[-1].id or 0
