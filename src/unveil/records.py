"""The five words that every room speaks: Sample, Dataset, Batch, Embedding, Protocol.

Labels (person, camera, clothes, tracklet) are strings exactly as the source wrote them; what a source does not
know is ``None``, never a made-up value. Integer codes exist only inside a Batch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unveil.errors import DataError, ProtocolError

if TYPE_CHECKING:
    from torch import Tensor

Split = Literal["train", "query", "gallery"]
Metric = Literal["cosine", "euclidean"]
SPLITS: tuple[Split, ...] = ("train", "query", "gallery")
UNLABELLED = 255
LABEL_COLUMNS = ("person", "camera", "clothes", "tracklet")


@dataclass(frozen=True, slots=True)
class Sample:
    """One person crop.

    Args:
        key: name that is unique in its dataset, normally the path relative to the dataset's root, with "/".
        path: image file, or ``None`` when ``data`` holds the encoded bytes.
        data: encoded image bytes (JPEG, PNG, ...), or ``None``.
        person: identity label. ``None``: unknown.
        camera: camera label.
        clothes: outfit label; unique over the whole dataset (two people never share one).
        time: seconds since the epoch or since the recording began.
        tracklet: label of the track that the crop was taken from.
        parsing: path of the human-parsing map (8-bit, pixel value = label).
        split: "train", "query", "gallery", or ``None`` when the source has no split.
        extra: further columns of the source, as text (for example ``visible``, the visible fraction in [0, 1]).
    """

    key: str
    path: Path | None = None
    data: bytes | None = None
    person: str | None = None
    camera: str | None = None
    clothes: str | None = None
    time: float | None = None
    tracklet: str | None = None
    parsing: Path | None = None
    split: Split | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise DataError(f"sample {self.key!r}: expected either a path or bytes, got both or neither")
        if self.split is not None and self.split not in SPLITS:
            raise DataError(f"sample {self.key!r}: split must be one of {', '.join(SPLITS)}, got {self.split!r}")

    def column(self, name: str) -> str | float | None:
        """Return a label or an extra column by name; ``None`` when the source does not know it."""
        return getattr(self, name) if name in _SAMPLE_COLUMNS else self.extra.get(name)


_SAMPLE_COLUMNS = frozenset((*LABEL_COLUMNS, "time", "split", "key"))


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


@dataclass
class Batch:
    """Crops on one device.

    Args:
        images: ``(B, 3, H, W)``, uint8 RGB, or normalised float after augmentation.
        persons: ``(B,)`` int64 identity codes; -1 where unknown.
        cameras: ``(B,)`` int64 camera codes, or ``None``.
        clothes: ``(B,)`` int64 outfit codes, or ``None``.
        parsing: ``(B, H, W)`` uint8 labels, `UNLABELLED` (255) all over a crop that has no map; ``None``: none has one.
        erased: ``(B, 3, H, W)`` uint8, the same crops with their clothes made black before they were resized, or
            ``None``.
    """

    images: Tensor
    persons: Tensor
    cameras: Tensor | None = None
    clothes: Tensor | None = None
    parsing: Tensor | None = None
    erased: Tensor | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(f"images: expected (B, 3, H, W), got {tuple(self.images.shape)}")
        for name, tensor in self._labels():
            # shape[0] and not len(): exporters take a length for a constant.
            if tensor.shape != (self.images.shape[0],):
                raise ValueError(f"{name}: expected ({self.images.shape[0]},), got {tuple(tensor.shape)}")
        expected = (self.images.shape[0], *self.images.shape[2:])
        if self.parsing is not None and tuple(self.parsing.shape) != expected:
            raise ValueError(f"parsing: expected {expected}, got {tuple(self.parsing.shape)}")
        if self.erased is not None and self.erased.shape != self.images.shape:
            raise ValueError(f"erased: expected {tuple(self.images.shape)}, got {tuple(self.erased.shape)}")

    def _labels(self) -> list[tuple[str, Tensor]]:
        pairs = (("persons", self.persons), ("cameras", self.cameras), ("clothes", self.clothes))
        return [(name, tensor) for name, tensor in pairs if tensor is not None]

    def __len__(self) -> int:
        return len(self.images)

    def replace(self, **changes: Any) -> Batch:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    def map(self, function: Any) -> Batch:
        """Return a Batch with ``function`` applied to every tensor, for example ``lambda t: t.to(device)``."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return self.replace(**{name: function(tensor) for name, tensor in fields.items() if tensor is not None})


@dataclass
class Embedding:
    """What every method returns for N crops: E named vectors with their visibility.

    The distance of two crops is the mean of the per-vector distances, weighted by
    ``weights[e] * visibility_query[e] * visibility_gallery[e]``.

    Args:
        vectors: ``(N, E, D)`` float; tensors while inside torch, numpy arrays everywhere else.
        visibility: ``(N, E)`` in [0, 1].
        names: the E names, for example ``("global", "head", "torso")``.
        metric: per-vector distance, "cosine" (1 - cos) or "euclidean".
        weights: E constants >= 0; all 1 when empty.
    """

    vectors: Any
    visibility: Any
    names: tuple[str, ...] = ("global",)
    metric: Metric = "cosine"
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.weights = tuple(self.weights) or (1.0,) * len(self.names)
        if self.vectors.ndim != 3 or self.vectors.shape[1] != len(self.names):
            raise ValueError(f"vectors: expected (N, {len(self.names)}, D), got {tuple(self.vectors.shape)}")
        if tuple(self.visibility.shape) != tuple(self.vectors.shape[:2]):
            raise ValueError(
                f"visibility: expected {tuple(self.vectors.shape[:2])}, got {tuple(self.visibility.shape)}"
            )
        if len(self.weights) != len(self.names) or min(self.weights) < 0:
            raise ValueError(f"weights: expected {len(self.names)} numbers >= 0, got {self.weights}")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def is_finite(self) -> bool:
        """Whether no number of a numpy embedding is NaN or infinite."""
        return bool(np.isfinite(self.vectors).all() and np.isfinite(self.visibility).all())

    def select(self, rows: Any) -> Embedding:
        """Return the rows picked by an index, a slice or a boolean mask."""
        return dataclasses.replace(self, vectors=self.vectors[rows], visibility=self.visibility[rows])

    def numpy(self) -> Embedding:
        """Return the same embedding as float32 numpy arrays on the CPU."""
        arrays = [
            (x if isinstance(x, np.ndarray) else x.detach().float().cpu().numpy()).astype(np.float32, copy=False)
            for x in (self.vectors, self.visibility)
        ]
        return dataclasses.replace(self, vectors=arrays[0], visibility=arrays[1])

    @staticmethod
    def concatenate(parts: list[Embedding]) -> Embedding:
        """Stack numpy embeddings of one method along N."""
        if not parts:
            raise ValueError("expected at least one embedding, got none")
        first = parts[0]
        if any((p.names, p.metric, p.weights) != (first.names, first.metric, first.weights) for p in parts):
            raise ValueError("embeddings of different methods cannot be stacked: names, metric or weights differ")
        vectors = np.concatenate([p.vectors for p in parts])
        return dataclasses.replace(first, vectors=vectors, visibility=np.concatenate([p.visibility for p in parts]))


@dataclass(frozen=True)
class Where:
    """A condition on one column of a sample: ``op`` is "in" (any of the values), "<", "<=", ">" or ">=" (a number)."""

    column: str
    op: Literal["in", "<", "<=", ">", ">="]
    value: tuple[str, ...] | float


Relation = Literal["same_camera", "other_camera", "same_clothes", "other_clothes", "same_tracklet"]


@dataclass(frozen=True)
class Protocol:
    """Which crops take part in an evaluation, which are junk for a query, and what is measured.

    Args:
        name: as used in the field, for example "market" or "ltcc_cc".
        junk: a gallery crop **of the query's person** is ignored when it fulfils any of these relations.
        query: conditions on query crops, all of which must hold.
        gallery: conditions on gallery crops, all of which must hold.
        shots: gallery crops drawn per person; ``None`` takes all.
        draws: how many galleries are drawn and averaged; 1 unless ``shots`` is set.
        seed: seed of the draws.
        ranks: the k of CMC-k.
        about: one sentence, with the source.
    """

    name: str
    junk: tuple[Relation, ...] = ("same_camera",)
    query: tuple[Where, ...] = ()
    gallery: tuple[Where, ...] = ()
    shots: int | None = None
    draws: int = 1
    seed: int = 3
    ranks: tuple[int, ...] = (1, 5, 10, 20)
    about: str = ""

    def __post_init__(self) -> None:
        if self.draws < 1 or (self.shots is not None and self.shots < 1) or (self.shots is None and self.draws > 1):
            raise ProtocolError(
                f"protocol {self.name!r}: draws ({self.draws}) and shots ({self.shots}) must be at least 1, "
                "and several draws need shots"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a dataset must know, sorted."""
        used = {"person"} | {relation.split("_")[1] for relation in self.junk}
        return tuple(sorted(used | {where.column for where in (*self.query, *self.gallery)}))

    @property
    def hash(self) -> str:
        """Hash of everything that can change a figure (8 hex digits); the wording of ``about`` does not count."""
        rules = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "about"}
        text = json.dumps(rules, sort_keys=True, default=dataclasses.asdict)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def __str__(self) -> str:
        return f"{self.name}#{self.hash}"
