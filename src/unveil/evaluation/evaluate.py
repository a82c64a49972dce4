"""A protocol's figures for an embedding: what is printed, stored in cards and compared between runs."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unveil.errors import DataError, ProtocolError
from unveil.evaluation.bootstrap import intervals
from unveil.evaluation.metrics import average_precision, cmc, hits, inverse_negative_penalty
from unveil.evaluation.protocols import labels, select
from unveil.evaluation.ranking import Ranking, Ranks, rank_blocks, rank_positives
from unveil.evaluation.rerank import RerankSettings, rerank_blocks
from unveil.records import Dataset, Embedding, Protocol, Sample


@dataclass(frozen=True)
class Result:
    """Figures of one evaluation, all fractions in [0, 1].

    Args:
        protocol: name of the protocol.
        protocol_hash: hash of its rules.
        dataset: name of the dataset; empty when unknown.
        dataset_hash: hash of its labels; empty when unknown.
        queries: queries that took part.
        gallery: gallery crops, in each draw.
        dropped: queries without a positive in at least one draw; they count in no average of that draw.
        cmc: k -> CMC-k.
        mean_ap: mAP.
        mean_inp: mINP.
        intervals: figure ("cmc-1", "mAP", "mINP") -> 95 % bootstrap interval over queries.
        draws: galleries that were drawn and averaged.
        std: figure -> standard deviation over the draws, or over the splits; empty for one.
        reranked: settings of re-ranking, if any was done.
        curve: CMC-1 ... CMC-50, for images.
        splits: splits of the dataset that were averaged; ``queries`` counts those of all.
        unreadable: key -> reason of the test crops that could not be read: they took no part.
        content: hash of the test crops' files, as their image store has it; empty when unknown.
        per_query: key of a query -> its AP (mean over draws); dropped queries are absent.
    """

    protocol: str
    protocol_hash: str
    dataset: str
    dataset_hash: str
    queries: int
    gallery: int
    dropped: int
    cmc: Mapping[int, float]
    mean_ap: float
    mean_inp: float
    intervals: Mapping[str, tuple[float, float]]
    draws: int = 1
    std: Mapping[str, float] = field(default_factory=dict)
    reranked: str = ""
    curve: tuple[float, ...] = ()
    splits: int = 1
    unreadable: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    per_query: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """All figures by name: "cmc-1", ..., "mAP", "mINP"."""
        return {f"cmc-{k}": v for k, v in self.cmc.items()} | {"mAP": self.mean_ap, "mINP": self.mean_inp}

    def __str__(self) -> str:
        source = self.dataset + (f"@{self.dataset_hash}" if self.dataset_hash else "")
        parts = [f"{name.replace('cmc-', 'R-')} {self._figure(name)}" for name in self.figures]
        rerank = f", re-ranked ({self.reranked})" if self.reranked else ""
        draws = f", {self.draws} draws" if self.draws > 1 else ""
        splits = f", mean of {self.splits} splits" if self.splits > 1 else ""
        unreadable = f"; {len(self.unreadable)} crops cannot be read and took no part" if self.unreadable else ""
        return (
            f"{source or 'crops'} under {self.protocol}#{self.protocol_hash}{rerank}: {', '.join(parts)}; "
            f"{self.queries} queries ({self.dropped} dropped) x {self.gallery} gallery crops"
            f"{draws}{splits}{unreadable}"
        )

    def _figure(self, name: str) -> str:
        low, high = self.intervals[name]
        spread = f" ± {100 * self.std[name]:.1f}" if name in self.std else ""
        return f"{100 * self.figures[name]:.1f}{spread} [{100 * low:.1f}, {100 * high:.1f}]"

    def to_json(self, *, per_query: bool = False) -> dict[str, Any]:
        """Return a tree that JSON can hold; each query's AP only when asked for."""
        tree = dataclasses.asdict(self) | {"cmc": {str(k): v for k, v in self.cmc.items()}}
        if not per_query:
            del tree["per_query"]
        return json.loads(json.dumps(tree))

    @staticmethod
    def from_json(tree: Mapping[str, Any]) -> Result:
        """Read what `to_json` wrote.

        Raises:
            DataError: a field is missing or of another kind.
        """
        try:
            values = dict(tree)
            values["cmc"] = {int(k): float(v) for k, v in values["cmc"].items()}
            values["intervals"] = {k: (float(low), float(high)) for k, (low, high) in values["intervals"].items()}
            values["curve"] = tuple(values.get("curve", ()))
            return Result(**values)
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            raise DataError(f"this is not a result of an evaluation: {e}") from None


def evaluation_samples(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the crops to embed for the protocols of a dataset: those of its splits query and gallery, in order."""
    return tuple(s for s in dataset.samples if s.split in ("query", "gallery"))


def evaluate(
    embedding: Embedding,
    samples: Sequence[Sample],
    *,
    protocol: Protocol,
    dataset: Dataset | None = None,
    rerank: RerankSettings | None = None,
    ranking: Ranking = rank_positives,
    seed: int = 0,
) -> Result:
    """Measure an embedding under a protocol; embed once, then call this for each protocol.

    Args:
        embedding: ``(N, E, D)`` numpy embedding of the samples.
        samples: the N crops, in the order of the embedding, queries and gallery together.
        protocol: the rules.
        dataset: where the crops come from, for its name and hash.
        rerank: settings of k-reciprocal re-ranking; ``None`` does without.
        ranking: ranks the positives, by default on the processor; re-ranked distances are always ranked there.
        seed: seed of the bootstrap.

    Raises:
        ProtocolError: the protocol cannot be applied, or no query has a positive.
        ValueError: the embedding has another number of rows.
    """
    if len(embedding) != len(samples):
        raise ValueError(f"{len(embedding)} embeddings for {len(samples)} samples")
    embedding = embedding.numpy()
    drawn = []
    query = gallery = np.empty(0, np.int64)
    for draw in range(protocol.draws):
        query, gallery = select(samples, protocol, draw=draw)
        codes = labels(samples, query, gallery=gallery, protocol=protocol)
        asked, searched = embedding.select(query), embedding.select(gallery)
        if rerank is None:
            drawn.append(ranking(asked, searched, labels=codes))
        else:
            drawn.append(rank_blocks(rerank_blocks(asked, searched, settings=rerank), codes))
    keys = [samples[i].key for i in query.tolist()]
    return _summary(
        drawn,
        keys,
        gallery=len(gallery),
        protocol=protocol,
        dataset=dataset,
        reranked=str(rerank) if rerank else "",
        seed=seed,
    )


def _summary(
    drawn: list[Ranks],
    keys: list[str],
    *,
    gallery: int,
    protocol: Protocol,
    dataset: Dataset | None,
    reranked: str,
    seed: int,
) -> Result:
    names = [*(f"cmc-{k}" for k in protocol.ranks), "mAP", "mINP"]
    values = np.array([np.stack(_columns(r, protocol.ranks), axis=1) for r in drawn])  # (draws, Q, figures)
    missing = np.isnan(values[:, :, -1])
    if missing.all(axis=1).any():
        raise ProtocolError(
            f"protocol {protocol.name!r}: none of the {len(keys)} queries has a gallery crop of its person left "
            f"after junk ({', '.join(protocol.junk) or 'none'}) is removed"
        )
    means = np.nanmean(values, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a query that is dropped in every draw has no mean
        of_query = np.nanmean(values, axis=0)
    figures = dict(zip(names, means.mean(axis=0).tolist(), strict=True))
    ends = intervals(of_query, seed=seed).tolist()
    return Result(
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        dataset=dataset.name if dataset else "",
        dataset_hash=dataset.hash if dataset else "",
        queries=len(keys),
        gallery=gallery,
        dropped=int(missing.any(axis=0).sum()),
        cmc={k: figures[f"cmc-{k}"] for k in protocol.ranks},
        mean_ap=figures["mAP"],
        mean_inp=figures["mINP"],
        intervals={name: (low, high) for name, (low, high) in zip(names, ends, strict=True)},
        draws=len(drawn),
        std=dict(zip(names, means.std(axis=0, ddof=1).tolist(), strict=True)) if len(drawn) > 1 else {},
        reranked=reranked,
        curve=tuple(np.mean([cmc(r, 50) for r in drawn], axis=0).tolist()),
        per_query={k: v for k, v in zip(keys, of_query[:, -2].tolist(), strict=True) if not np.isnan(v)},
    )


def _columns(ranks: Ranks, ks: tuple[int, ...]) -> list[np.ndarray]:
    return [*(hits(ranks, k) for k in ks), average_precision(ranks), inverse_negative_penalty(ranks)]
