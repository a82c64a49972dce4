"""Which crops make which shard: decided once, from the crops alone, so that any run of them makes the same files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from unveil.models.summary import ModelSummary
from unveil.records import LABEL_COLUMNS, Sample

SHARD_SIZE = 1024  # crops


@dataclass(frozen=True)
class Plan:
    """What a folder of shards holds when it is whole; every shard names all of it.

    Args:
        hash: of model, crops with their labels, and division into shards (16 hex digits).
        crops: how many crops there are, whether they can be read or not.
        shards: how many files they make.
        source: name and hash of the dataset.
        fingerprint: of the model.
        model: name of the model.
        licence: of its weights.
    """

    hash: str
    crops: int
    shards: int
    source: str
    fingerprint: str
    model: str
    licence: str

    def to_dict(self) -> dict[str, str | int]:
        """Return the plan for JSON; ``Plan(**...)`` reads it back."""
        return asdict(self)


def plan_of(samples: Sequence[Sample], units: Sequence[Sequence[int]], *, model: ModelSummary, source: str) -> Plan:
    """Return the plan of embedding crops with a model.

    Args:
        samples: the crops.
        units: rows of each shard; see `divided`.
        model: what embeds.
        source: name and hash of the dataset.
    """
    digest = hashlib.sha256(json.dumps([model.fingerprint, [len(unit) for unit in units]]).encode())
    for sample in samples:
        where = str(sample.path and sample.path.absolute())  # links are not followed, which is slow on a share
        labels = [getattr(sample, name) for name in (*LABEL_COLUMNS, "time", "split")]
        told = [sample.key, where, labels, sorted(sample.extra.items()), str(sample.parsing or "")]
        digest.update(json.dumps(told).encode())
    return Plan(digest.hexdigest()[:16], len(samples), len(units), source, model.fingerprint, model.name, model.licence)


def divided(samples: Sequence[Sample], size: int) -> list[list[int]]:
    """Return the rows of each shard, at most ``size``; a tracklet that is not longer is in one shard."""
    groups: dict[object, list[int]] = {}
    for row, sample in enumerate(samples):
        alone = sample.tracklet is None
        groups.setdefault(row if alone else (sample.camera, sample.tracklet), []).append(row)
    units: list[list[int]] = [[]]
    for rows in groups.values():
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            if units[-1] and len(units[-1]) + len(part) > size:
                units.append([])
            units[-1] += part
    return units
