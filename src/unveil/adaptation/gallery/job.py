"""A gallery whose model learns from its own rows: adapted, embedded anew while the old vectors answer, then switched.

Each step is kept where it was when a process is killed: training in the folder of the model, new vectors in the store
beside the old ones. The same call resumes. Rows that are added meanwhile are embedded before the switch, rows that are
deleted are in neither.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from unveil.adaptation.base import Adapted, Base
from unveil.adaptation.gallery.crops import GalleryCrops, gallery_crops
from unveil.adaptation.settings import AdaptSettings
from unveil.atomic_io import alone_in, write_text
from unveil.data.images import read_image
from unveil.errors import CheckpointError, DataError, UnveilError
from unveil.gallery.ingest.adding import BATCH, mean_embedding, nothing, space_of
from unveil.gallery.ingest.quality import without_occluded
from unveil.gallery.records import DerivedModel, Filter, Kind
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser
from unveil.progress import track
from unveil.records import Embedding

log = logging.getLogger(__name__)
SNAPSHOT = "gallery.json"
IMAGES = "images"
ROUNDS = 100  # of embedding what was added during the round before


def adapt_to_gallery(
    store: Store, name: str, *, model: Base, out: Path, settings: AdaptSettings, keep_worse: bool = False
) -> tuple[Adapted, DerivedModel]:
    """Adapt the model of a gallery to its rows, and note in the gallery that it is derived from them.

    A call that was killed resumes, with the rows that were there when it began. Where some of them were deleted since,
    it begins anew without them.

    Args:
        store: where the gallery is.
        name: of the gallery.
        model: the gallery's own; it is not changed.
        out: folder of the adapted model; one that is finished there is taken.
        settings: see there.
        keep_worse: write the model even if it is worse on what was held out.

    Returns:
        The adapted model, and what the gallery keeps of it.

    Raises:
        DataError: the model is not the gallery's, or there is too little to learn from.
        WorseModelError: the adapted model is worse; the gallery is as it was.
        CheckpointError: ``out`` holds a model of something else.
    """
    info = store.info(name)
    space = info.space
    if (done := model.finished(out)) is not None:
        _check_finished(done, name, base=model)
        found = gallery_crops(store, name, last=_begun(out, name, base=model.fingerprint), seed=settings.seed)
        return done, note_derived(store, found, model=done)
    if info.standby is not None and info.standby.kept:
        raise DataError(
            f"gallery {name!r} keeps the vectors of model {info.standby.space.fingerprint}, so that the switch can be "
            f"undone: remove them first with `unveil gallery adapt {name} --remove-old`"
        )
    if model.fingerprint != space.fingerprint:
        raise DataError(
            f"gallery {name!r} is embedded by model {space.identity}, not by {model.fingerprint}: name its own "
            "weights with --model"
        )
    last = _begun(out, name, base=space.fingerprint)
    found = gallery_crops(store, name, last=last, seed=settings.seed)
    if last is None:
        write_text(out / SNAPSHOT, json.dumps({"gallery": name, "base": space.fingerprint, "last": found.last}) + "\n")
    with decoded_images(out, None, of_gallery=True) as images:
        done = model.adapt(
            [found.dataset], out, settings=settings, feedback=found.feedback, galleries=[name], cache=images,
            keep_worse=keep_worse, restart=True,
        )  # fmt: skip
    return done, note_derived(store, found, model=done)


@contextmanager
def decoded_images(out: Path, cache: Path | None, *, of_gallery: bool) -> Iterator[Path | None]:
    """Give a folder for decoded images; images of a gallery are removed from it at the end, or by the next call.

    Raises:
        UnveilError: another process writes into ``out``.
    """
    with alone_in(out):
        if not of_gallery:
            yield cache
            return
        images = out / IMAGES
        shutil.rmtree(images, ignore_errors=True)  # of a process that was killed
        try:
            yield images
        finally:
            shutil.rmtree(images, ignore_errors=True)


def note_derived(store: Store, found: GalleryCrops, *, model: Adapted) -> DerivedModel:
    """Note in a gallery that a model learnt from its crops, of which some may have been removed since."""
    told = model.adaptation
    crops = next((d.images for d in told.data if d.name == found.dataset.name), 0) if told else 0
    record = DerivedModel(model.fingerprint, str(model.path), found.last, crops)
    store.note_derived(found.name, record, learnt=[int(sample.key) for sample in found.dataset.samples])
    return record


def embed_anew(store: Store, name: str, *, engine: Engine, model: str, own: str = "", parser: OnnxParser | None) -> int:
    """Give every row a vector of another model beside the one that answers; a call that was killed resumes.

    Rows are embedded from the images that the gallery keeps of them. A tracklet gets the mean of its crops, as when
    it was added; parts that the parser sees hidden do not count where it looked at a row when that was added.

    Args:
        store: where the gallery is.
        name: of the gallery.
        engine: runs the other model.
        model: path or name of its weights.
        own: path or name of the weights of the gallery's own model.
        parser: the package's own; ``None`` takes every part as it is.

    Returns:
        How many vectors were made.
    """
    store.begin_standby(name, space_of(engine), model=model, own=own)
    crops = _fill(
        store,
        name,
        kind="crop",
        embed=lambda rows: _embedded(store, name, rows=rows, engine=engine, parser=parser),
        fingerprint=engine.fingerprint,
    )
    whole = _fill(
        store, name, kind="tracklet", embed=lambda rows: _means(store, name, rows=rows), fingerprint=engine.fingerprint
    )
    return crops + whole


def switch(store: Store, name: str, *, engine: Engine, model: str, parser: OnnxParser | None) -> int:
    """Let the vectors of `embed_anew` answer, in one transaction, once rows added meanwhile have theirs too.

    Returns:
        How many vectors were made for rows that had none.

    Raises:
        UnveilError: rows are added faster than they are embedded.
    """
    late = 0
    for _ in range(ROUNDS):
        if store.switch_model(name):
            return late
        late += embed_anew(store, name, engine=engine, model=model, parser=parser)
    raise UnveilError(f"rows are added to {name!r} faster than they are embedded: stop adding and repeat the command")


def undo(store: Store, name: str, *, load: Callable[[str], Engine], parser: OnnxParser | None) -> int:
    """Let the vectors of the model before answer again, those of rows added since made first.

    Args:
        store: where the gallery is.
        name: of the gallery.
        load: opens the model of a path or name; called only where rows were added.
        parser: see `embed_anew`.

    Returns:
        How many vectors were made.

    Raises:
        DataError: no switch was made, its vectors were removed, or the weights are another model's now.
    """
    before = store.info(name).standby
    if before is None or not before.kept:
        raise DataError(f"gallery {name!r} keeps no vectors of another model: there is nothing to undo")
    if store.switch_model(name):
        return 0
    engine = load(before.model)
    if engine.fingerprint != before.space.fingerprint:
        raise DataError(
            f"rows were added since the switch and need model {before.space.fingerprint}; {before.model} is "
            f"{engine.fingerprint} now: name the right weights with --model"
        )
    return switch(store, name, engine=engine, model=before.model, parser=parser)


def _check_finished(done: Adapted, name: str, *, base: Base) -> None:
    told = done.adaptation
    if told is None or told.base != base.fingerprint or name not in told.galleries:
        raise CheckpointError(f"{done.path} was not adapted from the model of gallery {name!r}: choose another --out")
    log.info("the adapted model is there: %s", done.path)


def _begun(out: Path, name: str, *, base: str) -> int | None:
    """Return the greatest row of the snapshot that a killed run was working on; ``None`` where there is none."""
    path = out / SNAPSHOT
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        same = (found["gallery"], found["base"]) == (name, base)
        last = int(found["last"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged: delete {out}, or choose another --out") from None
    if not same:
        raise CheckpointError(f"{out} belongs to another gallery or another model: choose another --out")
    return last


def _fill(
    store: Store, name: str, *, kind: Kind, embed: Callable[[list[int]], tuple[list[int], Embedding]], fingerprint: str
) -> int:
    made, after = 0, 0
    total = len(store.ids(name, Filter())) // BATCH + 1

    def batches() -> Iterator[list[int]]:
        nonlocal after
        while len(ids := store.missing_standby(name, kind, limit=BATCH, after=after)):
            yield ids.tolist()
            after = int(ids[-1])

    for rows in track(batches(), f"embedding the {kind}s of {name} anew", total=total):
        ids, embedding = embed(rows)
        if ids:
            made += store.fill_standby(name, ids, embedding=embedding, fingerprint=fingerprint)
    return made


def _embedded(
    store: Store, name: str, *, rows: list[int], engine: Engine, parser: OnnxParser | None
) -> tuple[list[int], Embedding]:
    """Return the rows that are still there, and their vectors."""
    items = store.items(name, rows)
    images = [read_image(item.thumbnail, name=f"row {item.id} of {name}") for item in items]
    if not items:
        return [], nothing(engine)
    embedding = engine.embed(images, cameras=[item.camera for item in items])
    parsed = [place for place, item in enumerate(items) if item.visible is not None]
    if parsed and parser is not None:
        seen = without_occluded(embedding.select(parsed), [images[place] for place in parsed], parser=parser)
        visibility = np.array(embedding.visibility)
        visibility[parsed] = seen.visibility
        embedding = replace(embedding, visibility=visibility)
    return [item.id or 0 for item in items], embedding


def _means(store: Store, name: str, *, rows: list[int]) -> tuple[list[int], Embedding]:
    """Return the tracklets whose crops are there, and the means of the crops' new vectors."""
    ids, means = [], []
    for row in rows:
        quality, crops = store.standby_of_tracklet(name, row)
        if len(crops):
            ids.append(row)
            means.append(mean_embedding(crops, quality))
    return ids, Embedding.concatenate(means) if means else store.standby_of_tracklet(name, 0)[1]
