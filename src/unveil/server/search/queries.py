"""From the pieces of a request to a query: images that were sent, boxes on them, rows of the gallery."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from fastapi import HTTPException

from unveil.data.images import read_image
from unveil.gallery.ingest.adding import shrunk
from unveil.gallery.ingest.quality import without_occluded
from unveil.gallery.search.query import check_people
from unveil.gallery.store.protocol import Store
from unveil.parsing.onnx_parser import OnnxParser
from unveil.records import Embedding
from unveil.server.access.tokens import Caller
from unveil.server.schemas.search import BoxIn, QueryItem
from unveil.server.search.batching import Batcher
from unveil.server.search.decoding import Decoder
from unveil.server.search.ttl_cache import TTLCache

SMALLEST = 8  # pixels, shorter side of a query crop
THUMBNAIL = 384  # pixels, longest side of a crop in a report
MAX_BOXES = 64  # of one image whose embeddings are kept
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class HeldImage:
    """An image that a client sent: encoded bytes, size after EXIF rotation.

    Of the boxes asked for last it keeps the embeddings, and which of them show a person.
    """

    data: bytes
    width: int
    height: int
    embedded: OrderedDict[BoxIn | None, Embedding] = field(default_factory=OrderedDict)
    peopled: OrderedDict[BoxIn | None, bool] = field(default_factory=OrderedDict)


class QueryItems:
    """The pieces of one request, its images decoded once.

    Args:
        pieces: positives and negatives.
        caller: who asks; images of others are not there for him.
        images: what clients sent.
        decoder: decodes them.

    Raises:
        HTTPException: 410, an image is not held any more; 422, too little of a box lies on its image.
    """

    def __init__(
        self, pieces: Sequence[QueryItem], caller: Caller, *, images: TTLCache[HeldImage], decoder: Decoder
    ) -> None:
        self._images: dict[str, HeldImage] = {}
        self._crops: dict[tuple[str, BoxIn | None], np.ndarray] = {}
        boxes: dict[str, list[BoxIn | None]] = {}
        for piece in pieces:
            if piece.image is not None:
                boxes.setdefault(piece.image, []).append(piece.box)
        for name, of_image in boxes.items():
            held = self._images[name] = held_image(images, caller, name=name)
            with decoder.decoded(held.data) as image:
                for box in of_image:
                    # As small as the gallery's own crops are, and a copy: the whole image goes when the block ends.
                    self._crops[name, box] = shrunk(_cut(image, box, held=held)).copy()

    def places(self, pieces: Sequence[QueryItem]) -> list[tuple[HeldImage, BoxIn | None, np.ndarray]]:
        """Return image, box and crop of those pieces that are images, in order."""
        return [
            (self._images[piece.image], piece.box, self._crops[piece.image, piece.box])
            for piece in pieces
            if piece.image is not None
        ]


class QueryReader:
    """Makes embeddings of the pieces of queries; used by many threads.

    Args:
        store: where rows are.
        batcher: embeds crops.
        parser: says whether a person is on a crop, and which parts show; ``None`` takes every crop.
    """

    def __init__(self, store: Store, batcher: Batcher, *, parser: OnnxParser | None) -> None:
        self.parser = parser
        self.parsing = threading.Lock()
        self._store = store
        self._batcher = batcher

    def check_people(self, items: QueryItems, pieces: Sequence[QueryItem]) -> None:
        """Refuse images of a query, or boxes on them, on which no person is seen; rows are not looked at.

        Raises:
            NoPersonDetectedError: names the first of them.
        """
        places = items.places(pieces)
        for number, (held, box, crop) in enumerate(places, 1):
            if self.parser is None or box in held.peopled:
                continue
            told = "the image" if len(places) == 1 else f"image {number}"
            with self.parsing:
                check_people([crop], [f"the box on {told}" if box else told], parser=self.parser)
            _keep(held.peopled, box, value=True)

    def embed(self, items: QueryItems, pieces: Sequence[QueryItem], *, gallery: str) -> Embedding | None:
        """Return the embedding of the pieces of a query, images first; ``None`` for no pieces.

        Raises:
            HTTPException: 404, a row is not there.
        """
        places = items.places(pieces)
        # What is known now: others may push it out of an image's memory meanwhile.
        known = {(id(held), box): held.embedded.get(box) for held, box, _ in places}
        fresh = [(held, box, crop) for held, box, crop in places if known[id(held), box] is None]
        if fresh:
            crops = [crop for _, _, crop in fresh]
            made = self._batcher.embed(crops)
            with self.parsing:
                made = without_occluded(made, crops, parser=self.parser)
            for n, (held, box, _) in enumerate(fresh):
                one = made.select(slice(n, n + 1))
                known[id(held), box] = one
                _keep(held.embedded, box, value=one)
        # In the order of the pieces, whatever was known before: the hash of a query follows from it.
        parts = [row for held, box, _ in places if (row := known[id(held), box]) is not None]
        rows = list(dict.fromkeys(piece.item for piece in pieces if piece.item is not None))
        if rows:
            found, embedding = self._store.embeddings(gallery, rows)
            gone = set(rows) - set(found.tolist())
            if gone:
                raise HTTPException(404, f"no row {min(gone)} in gallery {gallery!r}")
            parts.append(embedding)
        return Embedding.concatenate(parts) if parts else None

    def shown(self, items: QueryItems, pieces: Sequence[QueryItem], *, gallery: str) -> tuple[np.ndarray, ...]:
        """Return a small image of each piece of a query, for its report; of a row that is gone none."""
        crops = iter(items.places(pieces))
        rows = [piece.item for piece in pieces if piece.item is not None]
        thumbnails = {item.id: item.thumbnail for item in self._store.items(gallery, rows)} if rows else {}
        images = []
        for piece in pieces:
            if piece.image is not None:
                images.append(shrunk(next(crops)[2], THUMBNAIL))
            elif piece.item in thumbnails:
                images.append(shrunk(read_image(thumbnails[piece.item]), THUMBNAIL))
        return tuple(images)


def held_image(images: TTLCache[HeldImage], caller: Caller, *, name: str) -> HeldImage:
    """Return an image that the caller sent; 410 when it is gone."""
    found = images.get(caller.name, name)
    if found is None:
        raise HTTPException(410, "this image is not held any more: send it again")
    return found


def _cut(image: np.ndarray, box: BoxIn | None, *, held: HeldImage) -> np.ndarray:
    if box:
        image = image[box.y : box.y + box.height, box.x : box.x + box.width]
    if min(image.shape[:2]) < SMALLEST:
        height, width = image.shape[:2]
        where = f"the part of the box on the image of {held.width} x {held.height}" if box else "the image"
        raise HTTPException(
            422, f"too small to show a person: {where} has {width} x {height} pixels, expected {SMALLEST} a side"
        )
    return image


def _keep(memory: OrderedDict[BoxIn | None, Kept], box: BoxIn | None, *, value: Kept) -> None:
    memory[box] = value
    while len(memory) > MAX_BOXES:
        memory.popitem(last=False)
