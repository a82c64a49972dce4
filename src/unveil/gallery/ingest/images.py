"""Images into a gallery: read and hashed ahead, embedded and written batch by batch; what is there is skipped.

The key of a crop is the SHA-256 of its file, and a batch is one transaction, so adding again after a kill resumes where
it stopped: nothing is lost, and nothing is there twice.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from unveil.attributes.from_parser import attributes_of
from unveil.attributes.records import Attributes
from unveil.bulk.shards import Shard
from unveil.data.file_reads import reading
from unveil.data.images import read_image
from unveil.data.prefetch import in_threads
from unveil.errors import ImageError
from unveil.gallery.ingest.adding import (
    BATCH,
    LARGEST,
    Added,
    count,
    key_of,
    mean_embedding,
    open_gallery,
    shrunk,
    thumbnail,
    tracklet_item,
)
from unveil.gallery.ingest.quality import Quality, looked_at, measure, without_occluded_parts
from unveil.gallery.records import FIRST_DATE, Item
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import track
from unveil.records import Embedding, Sample
from unveil.video.records import Image

MAX_BYTES = 256_000_000
LONGEST_TRACKLET = 256  # crops; a longer one becomes several
WIDE = (
    "{} images are wider than people are, for example {}: each was taken as the crop of one person; --detector or "
    "--boxes find the people on images"
)


@dataclass(frozen=True)
class ImageSettings:
    """What is said of all images of a source.

    Args:
        camera: of images that name none.
        start_time: seconds since the epoch: of images without a time, and added to times that count from a start.
        tags: of all rows, beside those in a manifest's column ``tags`` (parted by ";").
        retention_seconds: seconds after which the rows of a new gallery expire.
    """

    camera: str | None = None
    start_time: float | None = None
    tags: tuple[str, ...] = ()
    retention_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class _Crop:
    key: str
    sample: Sample
    image: Image


def add_images(
    store: Store,
    name: str,
    *,
    engine: Engine,
    samples: Sequence[Sample],
    source: str = "images",
    settings: ImageSettings = ImageSettings(),
    parser: OnnxParser | None = None,
    shard: Shard | None = None,
) -> Added:
    """Add crops to a gallery, which is made when it is not there.

    Args:
        store: where galleries are.
        name: of the gallery.
        engine: embeds; its model must be the gallery's.
        samples: the crops; those with a tracklet label get a row for the tracklet as well.
        source: what the report calls them.
        settings: what is said of all of them.
        parser: says how much of the body and of its parts shows.
        shard: has the embedding of these crops by the engine's model; a file that is another one now is not added.

    Raises:
        DataError: the gallery was made with another model.
    """
    began = time.monotonic()
    open_gallery(store, name, engine=engine, retention_seconds=settings.retention_seconds)
    batches = list(_batches(samples))
    bad: list[str] = []
    wide: list[str] = []
    crops = tracklets = known = 0
    read = in_threads(lambda batch: _read(store, name, batch=batch, shard=shard), batches, workers=2, ahead=2)
    with closing(read):
        new = _once(read)
        for groups, problems, there in track(new, f"adding {len(samples)} images", total=len(batches)):
            bad += problems
            known += there
            wide += [str(c.sample.path or c.sample.key) for group in groups for c in group if is_wide(c.image)]
            items, embedding = _rows(groups, engine, settings=settings, parser=parser, shard=shard)
            if items and store.add(name, items, embedding=embedding, fingerprint=engine.fingerprint):
                made = sum(item.kind == "tracklet" for item in items)
                crops, tracklets = crops + len(items) - made, tracklets + made
                count(len(items) - made, made)
    notes = (WIDE.format(len(wide), wide[0]),) if wide else ()
    return Added(source, crops, tracklets, known, tuple(bad), time.monotonic() - began, notes=notes)


def is_wide(image: Image) -> bool:
    """Return whether an image ``(H, W, 3)`` is rather a scene than the crop of a person, by its shape."""
    return image.shape[1] > image.shape[0]


def _batches(samples: Sequence[Sample]) -> Iterator[list[list[Sample]]]:
    """Yield batches of groups: a group is a crop by itself, or the crops of one tracklet."""
    alone = [[s] for s in samples if s.tracklet is None]
    named = sorted((s for s in samples if s.tracklet is not None), key=_place)
    groups = [list(g) for _, g in groupby(named, key=lambda s: (s.camera, s.tracklet))]
    parts = [g[k : k + LONGEST_TRACKLET] for g in groups for k in range(0, len(g), LONGEST_TRACKLET)]
    batch: list[list[Sample]] = []
    for group in [*alone, *parts]:
        batch.append(group)
        if sum(map(len, batch)) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _place(sample: Sample) -> tuple[str, str, float]:
    """Return where an image of a tracklet stands: by time, so that the parts of a long tracklet do not overlap."""
    return sample.camera or "", sample.tracklet or "", math.inf if sample.time is None else sample.time


Read = tuple[list[list[_Crop]], list[str], int]


def _once(batches: Iterable[Read]) -> Iterator[Read]:
    """Yield the new crops of each batch, what could not be read, and how many were there or in a batch before."""
    seen: set[str] = set()
    for groups, bad, known in batches:
        fresh = []
        for group in groups:
            kept = []
            for crop in group:  # the same file twice in one source
                known += crop.key in seen
                if crop.key not in seen:
                    seen.add(crop.key)
                    kept.append(crop)
            fresh.append(kept)
        yield [group for group in fresh if group], bad, known


def _read(store: Store, name: str, *, batch: list[list[Sample]], shard: Shard | None) -> Read:
    bad: list[str] = []
    data: list[list[tuple[str, Sample, bytes]]] = []
    for group in batch:
        whole = []
        for sample in group:
            try:
                content = content_of(sample)
                digest = hashlib.sha256(content).hexdigest()
                if shard is not None and shard.digest_of(sample) != digest:
                    raise ImageError(f"{sample.path or sample.key}: not the file that was embedded: embed it again")
                whole.append((digest, sample, content))
            except ImageError as e:
                bad.append(str(e))
        data.append(whole)
    there = store.known(name, [key for contents in data for key, _, _ in contents])
    groups = []
    for contents in data:
        crops = []
        for key, sample, content in contents:
            if key not in there:
                try:
                    image = shrunk(read_image(content, name=str(sample.path or sample.key), longest_side=LARGEST))
                    crops.append(_Crop(key, sample, image))
                except ImageError as e:
                    bad.append(str(e))
        groups.append(crops)
    return groups, bad, sum(key in there for contents in data for key, _, _ in contents)


def content_of(sample: Sample) -> bytes:
    """Return the bytes of an image file.

    Raises:
        ImageError: it is missing, empty or too large.
    """
    if sample.data is not None:
        return sample.data
    path = Path(sample.path or sample.key)
    try:
        with reading(path):
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise ImageError(f"{path}: too large, {size:,} bytes; the limit is {MAX_BYTES:,}")
            content = path.read_bytes()
    except OSError as e:
        raise ImageError(f"{path}: cannot be read: {e.strerror or e}") from None
    if not content:
        raise ImageError(f"{path}: the file is empty (0 bytes)")
    return content


def _rows(
    groups: list[list[_Crop]],
    engine: Engine,
    *,
    settings: ImageSettings,
    parser: OnnxParser | None,
    shard: Shard | None,
) -> tuple[list[Item], Embedding]:
    """Return the rows of a batch with their embedding: crops, and one more for each tracklet."""
    crops = [crop for group in groups for crop in group]
    images = [crop.image for crop in crops]
    cameras = [crop.sample.camera or settings.camera for crop in crops]
    parsed = looked_at(images, parser)
    embedded = shard.embedding_of([c.sample for c in crops]) if shard else engine.embed(images, cameras=cameras)
    embedding = without_occluded_parts(embedded, parsed)
    told = zip(crops, measure(images, parsed), attributes_of(images, parsed), strict=True)
    items = [_item(crop, quality, attributes=attributes, settings=settings) for crop, quality, attributes in told]
    extra: list[Embedding] = []
    start = 0
    for group in groups:
        rows = slice(start, start + len(group))
        start += len(group)
        if group[0].sample.tracklet is not None:
            whole = key_of("tracklet", *(crop.key for crop in group))
            items[rows] = [replace(item, tracklet=whole) for item in items[rows]]
            items.append(tracklet_item(whole, items[rows]))
            quality = np.array([item.quality or 0.0 for item in items[rows]])
            extra.append(mean_embedding(embedding.select(rows), quality))
    return items, Embedding.concatenate([embedding, *extra])


def time_of(sample: Sample, settings: ImageSettings) -> float | None:
    """Return the timestamp of an image, seconds: its own, counted from the start of the recording where it is small."""
    start = settings.start_time
    if start is not None and sample.time is not None and sample.time < FIRST_DATE:
        return start + sample.time
    return start if sample.time is None else sample.time


def tags_of(sample: Sample, settings: ImageSettings) -> tuple[str, ...]:
    """Return the tags of an image: its own, and those of all."""
    own = (tag.strip() for tag in sample.extra.get("tags", "").split(";"))
    return tuple(dict.fromkeys((*(tag for tag in own if tag), *settings.tags)))


def _item(crop: _Crop, quality: Quality, *, attributes: Attributes | None, settings: ImageSettings) -> Item:
    sample = crop.sample
    return Item(
        crop.key,
        "crop",
        thumbnail(crop.image),
        source=str(sample.path or sample.key),
        camera=sample.camera or settings.camera,
        time=time_of(sample, settings),
        person=sample.person,
        tags=tags_of(sample, settings),
        visible=quality.visible,
        quality=quality.score,
        attributes=attributes,
    )
