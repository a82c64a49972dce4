"""What adding images and adding videos share: the gallery's space, thumbnails, keys, and what came of it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image as Pillow

from unveil.attributes.records import vote
from unveil.gallery.records import EmbeddingSpace, GalleryInfo, Item
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.records import Embedding
from unveil.video.records import Image

THUMBNAIL = 384  # longest side, pixels
LARGEST = 512  # longest side of a crop in memory: more than any model takes
BATCH = 64  # crops that are embedded and written at a time
Counter = Callable[[int, int], None]
_counter: ContextVar[Counter | None] = ContextVar("counter", default=None)


@contextmanager
def counted(counter: Counter) -> Iterator[None]:
    """Tell a function what every write of this thread adds, within a block, also where no `Added` comes in the end.

    Args:
        counter: called after each write with the numbers of new crops and new tracklets.
    """
    token = _counter.set(counter)
    try:
        yield
    finally:
        _counter.reset(token)


def count(crops: int, tracklets: int = 0) -> None:
    """Tell the function of `counted`, if there is one, what a write added."""
    if (counter := _counter.get()) is not None:
        counter(crops, tracklets)


@dataclass(frozen=True)
class Added:
    """What came of adding one source.

    Args:
        source: what was added.
        crops: new rows that are crops.
        tracklets: new rows that are tracklets.
        known: images that were there before, or twice.
        bad: one line for everything that could not be read.
        seconds: time that it took.
        frames: frames of a video that were sampled.
        boxes: people found in them.
        footage: length of what was seen of a video, seconds.
        dropped: frames of a live stream that came faster than they could be processed.
        reopened: how often a live stream broke and was opened again.
        notes: sentences that a user must see.
        joined: key of each tracklet that was joined of several tracks, and why.
        removed: rows that a video gave before, and that went.
    """

    source: str
    crops: int = 0
    tracklets: int = 0
    known: int = 0
    bad: tuple[str, ...] = ()
    seconds: float = 0.0
    frames: int = 0
    boxes: int = 0
    footage: float = 0.0
    dropped: int = 0
    reopened: int = 0
    notes: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    removed: int = 0

    def __str__(self) -> str:
        pace = max(self.seconds, 1e-9)
        if not self.footage and not self.crops and self.known:
            return f"{self.source}: nothing new, {self.known} were there"
        if not self.frames:
            known = f", {self.known} were there" if self.known else ""
            return f"{self.source}: {self.crops} crops added{known}, {self.crops / pace:.0f} crops/s"
        if not self.footage:
            known = f", {self.known} were there" if self.known else ""
            return f"{self.source}: {self.crops} crops added of {self.boxes} boxes on {self.frames} images{known}"
        dropped = f", {self.dropped} frames dropped" if self.dropped else ""
        dropped += f", opened again: {self.reopened}" if self.reopened else ""
        dropped += f", {len(self.joined)} tracklets joined of several tracks" if self.joined else ""
        dropped += f", {self.removed} rows from before removed" if self.removed else ""
        return (
            f"{self.source}: {self.tracklets} tracklets and {self.crops} crops of {self.boxes} boxes in {self.frames} "
            f"frames{dropped}; {self.frames / pace:.1f} frames/s, {self.footage / pace:.2f} of real time"
        )


def open_gallery(store: Store, name: str, *, engine: Engine, retention_seconds: float | None = None) -> GalleryInfo:
    """Return the gallery of that name, made for the model of the engine when there is none.

    Raises:
        DataError: the gallery was made with another model.
    """
    return store.create(name, space_of(engine), retention_seconds=retention_seconds)


def space_of(engine: Engine) -> EmbeddingSpace:
    """Return the embedding space of a model."""
    info, model = engine.space_info, engine.summary
    return EmbeddingSpace(
        model.fingerprint, info.names, info.dimension, info.metric, info.weights, info.input, model.name, model.licence
    )


def nothing(engine: Engine) -> Embedding:
    """Return the embedding of no crops."""
    info = engine.space_info
    shape = (0, len(info.names))
    vectors = np.empty((*shape, info.dimension), np.float32)
    return Embedding(vectors, np.empty(shape, np.float32), info.names, info.metric, info.weights)


def tracklet_item(key: str, crops: Sequence[Item]) -> Item:
    """Return the row of a tracklet: the best of its crops as the image, from the first timestamp to the last."""
    best = max(crops, key=lambda crop: crop.quality or 0.0)
    times = [crop.time for crop in crops if crop.time is not None]
    shown = [crop.visible for crop in crops if crop.visible is not None]
    people = {crop.person for crop in crops}
    looks = [(crop.attributes, crop.quality or 0.0) for crop in crops if crop.attributes is not None]
    return replace(
        best,
        key=key,
        kind="tracklet",
        tracklet=None,
        time=min(times, default=None),
        end=max(times, default=None),
        person=best.person if len(people) == 1 else None,
        tags=tuple(dict.fromkeys(tag for crop in crops for tag in crop.tags)),
        visible=max(shown, default=None),
        crops=len(crops),
        attributes=vote(looks) if looks else None,
    )


def key_of(*parts: object) -> str:
    """Return the SHA-256 of parts, 64 hex digits."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def thumbnail(image: Image) -> bytes:
    """Return a crop as JPEG, its longest side at most `THUMBNAIL`."""
    out = io.BytesIO()
    Pillow.fromarray(shrunk(image, THUMBNAIL)).save(out, "JPEG", quality=85)
    return out.getvalue()


def shrunk(image: Image, side: int = LARGEST) -> Image:
    """Return a crop whose longest side is at most ``side``."""
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.BILINEAR))


def mean_embedding(embedding: Embedding, quality: np.ndarray) -> Embedding:
    """Return one row for a tracklet: the mean of its crops, weighted by quality scores and visibility.

    Args:
        embedding: of its crops, ``(N, E, D)``.
        quality: scores of its crops, ``(N,)``, at least 0.

    Returns:
        ``(1, E, D)``. A part is as visible as where it was taken from: seen well in one crop and not at all in the
        others, it counts as seen well.
    """
    weights = np.maximum(np.asarray(quality, np.float32), 1e-3)[:, None] * embedding.visibility
    total = weights.sum(axis=0)
    vectors = embedding.vectors
    if embedding.metric == "cosine":  # only directions count: a long vector is not a better one
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-12)
    safe = np.maximum(total, 1e-12)
    mean = (weights[:, :, None] * vectors).sum(axis=0) / safe[:, None]
    visible = (weights * embedding.visibility).sum(axis=0) / safe
    row = Embedding(mean[None], visible[None], embedding.names, embedding.metric, embedding.weights)
    return row.numpy()
