"""The mean of a protocol's figures over several splits of one dataset."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

from unveil.errors import ProtocolError
from unveil.evaluation.evaluate import Result


def mean_of_splits(results: Sequence[Result], dataset_hash: str) -> Result:
    """Return the mean of one protocol's results over splits.

    Figures and the CMC curve are means, ``std`` is the standard deviation over the splits, and an interval is the mean
    of the
    intervals: how sure a single split is. Splits share people, so a narrower interval could not be defended.

    Args:
        results: one a split, of one protocol, all re-ranked alike or not at all.
        dataset_hash: hash of the dataset under all of them.

    Raises:
        ProtocolError: there is none, or they are of different protocols.
    """
    if len({(r.protocol_hash, r.dataset, r.reranked) for r in results}) != 1:
        named = ", ".join(sorted({f"{r.dataset} {r.protocol}#{r.protocol_hash}" for r in results})) or "none"
        raise ProtocolError(f"only splits of one dataset under one protocol have a mean, found {named}")
    first = results[0]
    if len(results) == 1:
        return first
    figures = {name: [r.figures[name] for r in results] for name in first.figures}
    mean = {name: statistics.fmean(values) for name, values in figures.items()}
    return dataclasses.replace(
        first,
        dataset_hash=dataset_hash,
        queries=sum(r.queries for r in results),
        gallery=round(statistics.fmean(r.gallery for r in results)),
        dropped=sum(r.dropped for r in results),
        cmc={k: mean[f"cmc-{k}"] for k in first.cmc},
        mean_ap=mean["mAP"],
        mean_inp=mean["mINP"],
        intervals={
            name: (
                statistics.fmean(r.intervals[name][0] for r in results),
                statistics.fmean(r.intervals[name][1] for r in results),
            )
            for name in first.intervals
        },
        std={name: statistics.stdev(values) for name, values in figures.items()},
        curve=tuple(statistics.fmean(values) for values in zip(*(r.curve for r in results), strict=True)),
        splits=len(results),
        unreadable={key: why for r in results for key, why in r.unreadable.items()},
        per_query={f"{n}/{key}": ap for n, r in enumerate(results) for key, ap in r.per_query.items()},
    )
