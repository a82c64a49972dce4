"""Which crops a protocol lets take part, and which gallery crops are junk for a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from unveil.errors import ProtocolError
from unveil.evaluation.ragged import ranges
from unveil.records import Protocol, Relation, Sample, Split, Where

SAME_SPLIT_RULE = "the default rule takes the crops of that split; a condition on the column 'split' replaces it"


def select(samples: Sequence[Sample], protocol: Protocol, *, draw: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return which samples are queries and which are the gallery.

    Query crops are those of the split "query", gallery crops those of the split "gallery", unless the protocol has a
    condition on the column ``split``. Both are sorted by key, so the order of the samples changes nothing. A gallery
    crop of an unknown person is a distractor: no query's match.

    Args:
        samples: the crops of a dataset, in any order.
        protocol: the rules.
        draw: which of the protocol's draws of the gallery, from 0.

    Returns:
        Positions of the queries ``(Q,)`` and of the gallery ``(G,)`` in ``samples``, int64.

    Raises:
        ProtocolError: a query has no person, another column that the protocol needs is missing, a column is not a
            number where the protocol compares numbers, or no query or no gallery crop is left.
    """
    by_key = sorted(range(len(samples)), key=lambda i: samples[i].key)
    query = _side(samples, by_key, protocol=protocol, split="query", conditions=protocol.query)
    gallery = _side(samples, by_key, protocol=protocol, split="gallery", conditions=protocol.gallery)
    _require(samples, query, column="person", protocol=protocol)
    wanted = {samples[i].person for i in query}
    # Junk is defined among crops of one person, so a distractor needs no camera and no outfit.
    related = [*query, *(i for i in gallery if samples[i].person in wanted)]
    for relation in protocol.junk:
        _require(samples, related, column=relation.partition("_")[2], protocol=protocol)
    if protocol.shots is not None:
        gallery = _draw(samples, gallery, shots=protocol.shots, rng=np.random.default_rng([protocol.seed, draw]))
    return np.array(query, dtype=np.int64), np.array(gallery, dtype=np.int64)


def _side(
    samples: Sequence[Sample], order: list[int], *, protocol: Protocol, split: Split, conditions: tuple[Where, ...]
) -> list[int]:
    if not any(where.column == "split" for where in conditions):
        conditions = (Where("split", "in", (split,)), *conditions)
    kept = order
    for where in conditions:
        if where.column != "split":
            _require(samples, kept, column=where.column, protocol=protocol)
        kept = [i for i in kept if _holds(samples[i], where, protocol=protocol)]
        if not kept:
            raise ProtocolError(
                f"protocol {protocol.name!r}: no {split} crop is left of {len(samples)} crops after "
                f"{where.column} {where.op} {where.value}; {SAME_SPLIT_RULE}"
            )
    return kept


def _holds(sample: Sample, where: Where, *, protocol: Protocol) -> bool:
    value = sample.column(where.column)
    if where.op == "in":
        if not isinstance(where.value, tuple):
            raise ProtocolError(f"protocol {protocol.name!r}: {where.column} in {where.value!r}: expected a tuple")
        return value is not None and str(value) in where.value
    try:
        number, bound = float(value), float(where.value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ProtocolError(
            f"protocol {protocol.name!r} compares the column {where.column!r} {where.op} {where.value}, "
            f"but {sample.key!r} has {value!r}, which is not a number"
        ) from None
    return {"<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound}[where.op]


def _require(samples: Sequence[Sample], rows: list[int], *, column: str, protocol: Protocol) -> None:
    without = [samples[i].key for i in rows if samples[i].column(column) is None]
    if without:
        raise ProtocolError(
            f"protocol {protocol.name!r} needs the column {column!r}, which {len(without)} of {len(rows)} crops do not "
            f"have, for example {without[0]!r}: add it to the data, or choose a protocol that does without it"
        )


def _draw(samples: Sequence[Sample], gallery: list[int], *, shots: int, rng: np.random.Generator) -> list[int]:
    """Draw crops of each person, persons and crops in sorted order; a person with fewer gives all.

    Crops of unknown persons may be of as many people, so all of them stay.
    """
    drawn = [i for i in gallery if samples[i].person is None]
    known = [i for i in gallery if samples[i].person is not None]
    by_person = sorted(known, key=lambda i: (str(samples[i].person), samples[i].key))
    for _, group in groupby(by_person, key=lambda i: samples[i].person):
        crops = list(group)
        picked = rng.choice(len(crops), min(shots, len(crops)), replace=False)
        drawn += [crops[k] for k in picked]
    return sorted(drawn, key=lambda i: samples[i].key)


@dataclass(frozen=True)
class Labels:
    """Integer codes of the labels that decide matches and junk; equal codes mean equal labels.

    Args:
        query: code columns of the queries, each ``(Q,)`` int64; "person" and "crop" are always there.
        gallery: the same columns of the gallery, each ``(G,)`` int64.
        junk: relations that make a gallery crop of the query's person junk.
    """

    query: dict[str, np.ndarray]
    gallery: dict[str, np.ndarray]
    junk: tuple[Relation, ...] = ()

    @cached_property
    def _by_person(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.gallery["person"], kind="stable")
        return order, self.gallery["person"][order]

    def __len__(self) -> int:
        return len(self.query["person"])

    def pairs(self, rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return all pairs of one person in a block of queries.

        A query crop that is also in the gallery is junk for itself under every protocol.

        Args:
            rows: block of queries, as a slice of step 1.

        Returns:
            For each of the M pairs: row in the block, gallery index, and whether it is junk; ascending by row.
        """
        order, persons = self._by_person
        person = self.query["person"][rows]
        first = np.searchsorted(persons, person, "left")
        count = np.searchsorted(persons, person, "right") - first
        row = np.repeat(np.arange(len(person)), count)
        crop = order[ranges(first, count)]
        junk = self.query["crop"][rows][row] == self.gallery["crop"][crop]
        for relation in self.junk:
            kind, _, column = relation.partition("_")
            same = self.query[column][rows][row] == self.gallery[column][crop]
            junk |= same if kind == "same" else ~same
        return row, crop, junk


def labels(samples: Sequence[Sample], query: np.ndarray, *, gallery: np.ndarray, protocol: Protocol) -> Labels:
    """Factorise the labels that a protocol looks at.

    Args:
        samples: the crops that ``query`` and ``gallery`` point into.
        query: ``(Q,)`` positions, as `select` returns them.
        gallery: ``(G,)`` positions.
        protocol: the rules.
    """
    sides: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({"crop": query}, {"crop": gallery})
    for column in sorted({"person"} | {relation.partition("_")[2] for relation in protocol.junk}):
        codes: dict[str | float | None, int] = {}
        for side, positions in zip(sides, (query, gallery), strict=True):
            found = (codes.setdefault(samples[i].column(column), len(codes)) for i in positions.tolist())
            side[column] = np.fromiter(found, dtype=np.int64, count=len(positions))
    return Labels(*sides, junk=protocol.junk)
