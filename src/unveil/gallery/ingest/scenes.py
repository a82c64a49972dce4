"""Images of scenes into a gallery: the people on them are found, or were before, and each becomes a crop.

The next image is read while people are looked for on one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from unveil.attributes.from_parser import attributes_of
from unveil.attributes.records import Attributes
from unveil.data.images import read_image
from unveil.data.prefetch import in_threads
from unveil.errors import ImageError
from unveil.gallery.ingest.adding import BATCH, Added, count, key_of, open_gallery, shrunk, thumbnail
from unveil.gallery.ingest.images import ImageSettings, content_of, tags_of, time_of
from unveil.gallery.ingest.quality import (
    Quality,
    body_shares,
    combined_quality,
    framing_quality,
    image_quality,
    looked_at,
    without_occluded_parts,
)
from unveil.gallery.records import Item
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import track
from unveil.records import Sample
from unveil.video.detectors.detect import Detector
from unveil.video.detectors.precomputed import GivenBoxes
from unveil.video.records import Image


@dataclass(frozen=True, eq=False)
class _Scene:
    sample: Sample
    image: Image
    digest: str


@dataclass(frozen=True, eq=False)
class _Person:
    key: str
    sample: Sample
    box: tuple[int, int, int, int]
    image: Image
    quality: float
    person: str | None


def add_scenes(
    store: Store,
    name: str,
    *,
    engine: Engine,
    samples: Sequence[Sample],
    detector: Detector | GivenBoxes,
    source: str = "images",
    settings: ImageSettings | None = None,
    parser: OnnxParser | None = None,
) -> Added:
    """Add the people on images to a gallery, which is made when it is not there.

    The key of a crop is made from the content of the image and the box, so adding again adds nothing.

    Args:
        store: where galleries are.
        name: of the gallery.
        engine: embeds; its model must be the gallery's.
        samples: the images. Their camera, time and tags are kept; a person is not, for it could be anybody on them.
        detector: finds people, or boxes that are known already.
        source: what the report calls them.
        settings: what is said of all of them.
        parser: says how much of the body and of its parts shows.

    Raises:
        DataError: the gallery was made with another model, or the boxes name other images.
    """
    began = time.monotonic()
    settings = settings or ImageSettings()
    if isinstance(detector, GivenBoxes):
        detector.arrange([Path(sample.path or sample.key) for sample in samples])
    open_gallery(store, name, engine=engine, retention_seconds=settings.retention_seconds)
    found = Added(source)
    bad: list[str] = []
    waiting: list[_Person] = []
    seen: set[str] = set()
    with closing(in_threads(_read, samples, workers=1, ahead=1)) as read:
        what = f"finding people on {len(samples)} images"
        for number, scene in enumerate(track(read, what, total=len(samples))):
            if isinstance(scene, str):
                bad.append(scene)
                continue
            people = list(_people(number, scene, detector=detector))
            found = replace(found, frames=found.frames + 1, boxes=found.boxes + len(people))
            waiting += [person for person in people if person.key not in seen]
            seen.update(person.key for person in people)
            if len(waiting) >= BATCH or number == len(samples) - 1:
                found = _write(
                    store, name, engine=engine, people=waiting, found=found, settings=settings, parser=parser
                )
                waiting = []
    found = _write(store, name, engine=engine, people=waiting, found=found, settings=settings, parser=parser)
    return replace(found, bad=tuple(bad), seconds=time.monotonic() - began)


def _read(sample: Sample) -> _Scene | str:
    """Return the image of a sample, or why it cannot be read."""
    try:
        content = content_of(sample)
        image = read_image(content, name=str(sample.path or sample.key))
    except ImageError as e:
        return str(e)
    return _Scene(sample, image, hashlib.sha256(content).hexdigest())


def _people(number: int, scene: _Scene, *, detector: Detector | GivenBoxes) -> Iterator[_Person]:
    sample, image, digest = scene.sample, scene.image, scene.digest
    given = detector if isinstance(detector, GivenBoxes) else None
    boxes = detector.boxes(number) if isinstance(detector, GivenBoxes) else detector.detect(image)
    names = given.tracks(number) if given and given.people else [None] * len(boxes)
    height, width = image.shape[:2]
    for box, person in zip(boxes, names, strict=True):
        whole = box.whole(width, height)
        if whole is None:
            continue
        x, y, w, h = whole
        crop = image[y : y + h, x : x + w]
        quality = image_quality(crop) * framing_quality(
            whole, [other for other in boxes if other is not box], width=width, height=height
        )
        yield _Person(key_of("scene", digest, whole), sample, whole, shrunk(crop).copy(), quality, person)


def _write(
    store: Store,
    name: str,
    *,
    engine: Engine,
    people: list[_Person],
    found: Added,
    settings: ImageSettings,
    parser: OnnxParser | None,
) -> Added:
    there = store.known(name, [person.key for person in people]) if people else set()
    people = [person for person in people if person.key not in there]
    found = replace(found, known=found.known + len(there))
    if not people:
        return found
    images = [person.image for person in people]
    cameras = [person.sample.camera or settings.camera for person in people]
    parsed = looked_at(images, parser)
    embedding = without_occluded_parts(engine.embed(images, cameras=cameras), parsed)
    told = zip(people, body_shares(parsed, len(people)), attributes_of(images, parsed), strict=True)
    items = [
        _item(person, combined_quality(person.quality, share), attributes=looks, settings=settings)
        for person, share, looks in told
    ]
    crops = store.add(name, items, embedding=embedding, fingerprint=engine.fingerprint)
    count(crops)
    return replace(found, crops=found.crops + crops)


def _item(person: _Person, quality: Quality, *, attributes: Attributes | None, settings: ImageSettings) -> Item:
    sample = person.sample
    return Item(
        person.key,
        "crop",
        thumbnail(person.image),
        source=str(sample.path or sample.key),
        camera=sample.camera or settings.camera,
        time=time_of(sample, settings),
        person=person.person,
        box=person.box,
        tags=tags_of(sample, settings),
        visible=quality.visible,
        quality=quality.score,
        attributes=attributes,
    )
