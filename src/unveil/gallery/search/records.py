"""A query of a gallery, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from unveil.errors import DataError
from unveil.gallery.records import Filter, Item, Mode, Rows
from unveil.gallery.scoring.ranking import query_hash
from unveil.models.summary import ModelIdentity
from unveil.records import Embedding

Stage = Literal["memory", "store"]  # who finds the nearest rows that are then re-scored
MAX_CROPS = 64
MAX_RESCORED = 10_000


@dataclass(frozen=True, eq=False)
class Query:
    """Whom to look for, and where.

    Args:
        positives: ``(Q, E, D)`` numpy embedding of crops of one person; distances are averaged over them.
        fingerprint: of the model that embedded them.
        negatives: crops of people who are not meant; see `unveil.evaluation.search.search` for what they do.
        where: which rows take part.
        rows: one row a tracklet, or one a crop; stands where ``where.rows`` is not set.
        top: how many hits at most.
        rescore: how many candidates of the first stage are compared exactly and part by part.
        mode: whether the clothes are the same or may have changed.
        confirmed: ids of rows that show the person, as somebody said; they join the positives.
        rejected: ids of rows that do not; they join the negatives and are no hits any more.
        own: ids of rows that the query itself was made of; they, and the rest of their tracklets, are no hits.
        rerank: order the exactly compared rows by k-reciprocal re-ranking; distances stay as they are.
    """

    positives: Embedding
    fingerprint: str
    negatives: Embedding | None = None
    where: Filter = field(default_factory=Filter)
    rows: Rows = "tracklet"
    top: int = 20
    rescore: int = 500
    mode: Mode = "same"
    confirmed: tuple[int, ...] = ()
    rejected: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    rerank: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.top <= MAX_RESCORED or not 1 <= self.rescore <= MAX_RESCORED:
            raise DataError(f"top and rescore must be in 1 .. {MAX_RESCORED}, got {self.top} and {self.rescore}")
        if self.mode not in ("same", "changed"):
            raise DataError(f"the mode is 'same' or 'changed', got {self.mode!r}")
        if not len(self.positives):
            raise DataError("the query has no crop: give at least one image of the person")
        crops = len(self.positives) + (len(self.negatives) if self.negatives is not None else 0)
        if crops > MAX_CROPS or max(len(self.confirmed), len(self.rejected)) > MAX_CROPS:
            raise DataError(f"a query has at most {MAX_CROPS} crops, and as many confirmed and as many rejected rows")

    @property
    def hash(self) -> str:
        """What the search is known by; see `query_hash`."""
        return query_hash(self.positives, self.fingerprint)


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    Args:
        item: the row.
        distance: its distance, smaller is more alike.
        probability: that it shows the person, in [0, 1]; ``None`` in a gallery that nobody calibrated.
        parts: name of a part -> distance; occluded parts are absent, and a model of one vector has none.
        reason: why, in words.
    """

    item: Item
    distance: float
    probability: float | None
    parts: dict[str, float]
    reason: str


@dataclass(frozen=True)
class SearchResult:
    """The answer of a search.

    Args:
        hits: nearest first.
        calibrated: whether the gallery has a calibration for this mode.
        match: whether the nearest hit is near enough to be the person at the calibrated rate of false alarms; ``None``
            in a gallery that nobody calibrated.
        rescored: how many rows were compared exactly.
        candidates: how many rows the filter let through.
        milliseconds: how long it took, without embedding.
        query_hash: what the search is known by.
        first_stage: who did the first stage: "memory" (exact) or "store" (exact too, unless it has an index).
        notes: sentences that a user must see.
        threshold: distance up to which a hit is a match; ``None`` in a gallery that nobody calibrated.
        protocol: how it was searched, in words, for reports.
        model: which model the rows and the query were embedded by.
        confirmed: ids of rows that somebody said show the person.
        unseen: rows that were left out because an attribute that was asked for cannot be seen on them.
    """

    hits: tuple[Hit, ...]
    calibrated: bool
    match: bool | None
    rescored: int
    candidates: int
    milliseconds: float
    query_hash: str
    first_stage: Stage = "memory"
    notes: tuple[str, ...] = ()
    threshold: float | None = None
    protocol: Mapping[str, str] = field(default_factory=dict)
    model: ModelIdentity = field(kw_only=True)
    confirmed: tuple[int, ...] = ()
    unseen: int = field(default=0, kw_only=True)
