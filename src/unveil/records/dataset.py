"""Dataset: crops with their splits and protocols."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from unveil.errors import DataError, ProtocolError

if TYPE_CHECKING:
    pass

from unveil.records.protocol import Protocol
from unveil.records.sample import Sample, Split


@dataclass(frozen=True)
class Dataset:
    """Crops with their splits and protocols.

    Args:
        name: short name, for example "market1501".
        samples: all crops, sorted by key within the reader's own order; keys are unique.
        protocols: the protocols that the dataset's papers use; the first is the default.
        published: counts to check against, for example ``{"train images": 12936}``.
        notes: sentences that a user must see (a withdrawn dataset, a file that was skipped).
        parsing_scheme: label space of the parsing maps ("lip20", "atr18", "pascal7", "cre7", "pab6", "bpb8"), if any.
    """

    name: str
    samples: tuple[Sample, ...]
    protocols: tuple[Protocol, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parsing_scheme: str | None = None

    def __post_init__(self) -> None:
        if not self.samples:
            raise DataError(f"dataset {self.name!r} is empty: no image was found")
        if len({s.key for s in self.samples}) != len(self.samples):
            seen: set[str] = set()
            twice = next(s.key for s in self.samples if s.key in seen or seen.add(s.key))  # type: ignore[func-returns-value]
            raise DataError(f"dataset {self.name!r}: the key {twice!r} appears more than once")

    def subset(self, split: Split) -> tuple[Sample, ...]:
        """Return the samples of one split, in order."""
        return tuple(s for s in self.samples if s.split == split)

    @property
    def train(self) -> tuple[Sample, ...]:
        """Samples to train on."""
        return self.subset("train")

    @property
    def query(self) -> tuple[Sample, ...]:
        """Samples to search with."""
        return self.subset("query")

    @property
    def gallery(self) -> tuple[Sample, ...]:
        """Samples to search in."""
        return self.subset("gallery")

    @cached_property
    def hash(self) -> str:
        """Hash of keys, labels and splits (12 hex digits); pixels are hashed by the image store."""
        digest = hashlib.sha256()
        for s in self.samples:
            row = [s.key, s.person, s.camera, s.clothes, s.time, s.tracklet, s.split, sorted(s.extra.items())]
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()[:12]

    def protocol(self, name: str | None = None) -> Protocol:
        """Return a protocol by name; the default one for ``None``.

        Raises:
            ProtocolError: the dataset has no protocol of that name.
        """
        if name is None and self.protocols:
            return self.protocols[0]
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        known = ", ".join(p.name for p in self.protocols) or "none"
        raise ProtocolError(f"dataset {self.name!r} has no protocol {name!r}; it has: {known}")
