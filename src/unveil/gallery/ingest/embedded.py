"""Crops that were embedded before into a gallery: shard by shard, with the images that they name."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from unveil.bulk.shards import check_folder, read_shard, shard_files
from unveil.errors import DataError
from unveil.gallery.ingest.adding import Added, open_gallery, space_of
from unveil.gallery.ingest.images import ImageSettings, add_images
from unveil.gallery.store.protocol import Store
from unveil.inference.engine import Engine
from unveil.parsing.onnx_parser import OnnxParser


def add_shards(
    store: Store,
    name: str,
    *,
    engine: Engine,
    folder: Path,
    settings: ImageSettings,
    parser: OnnxParser | None = None,
) -> Added:
    """Add the crops of a folder of shards to a gallery, which is made when it is not there.

    Thumbnails, worth and what a parser tells come from the image files, which must be where they were and as they were.

    Args:
        store: where galleries are.
        name: of the gallery.
        engine: of the model that embedded them; it embeds nothing here.
        folder: of the shards.
        settings: what is said of all of them.
        parser: says how much of the body and of its parts shows.

    Raises:
        DataError: the folder is not whole, a shard is damaged, or they are of another model than the engine's or the
            gallery's.
    """
    began = time.monotonic()
    heads, space = check_folder(folder), space_of(engine)
    plan = heads[0].plan
    if plan.fingerprint != space.fingerprint:
        raise DataError(
            f"{folder} was embedded by model {plan.model} ({plan.fingerprint}), not by {space.model} "
            f"({space.fingerprint}): name the model of the shards with --model"
        )
    open_gallery(store, name, engine=engine, retention_seconds=settings.retention_seconds)
    found = Added(str(folder), bad=tuple(line for head in heads for line in head.left_out))
    notes: list[str] = []
    for path in shard_files(folder):
        shard = read_shard(path)
        space.check(shard.embedding, plan.fingerprint)
        added = add_images(
            store,
            name,
            engine=engine,
            samples=shard.samples,
            source=str(path),
            settings=settings,
            parser=parser,
            shard=shard,
        )
        found = replace(
            found,
            crops=found.crops + added.crops,
            tracklets=found.tracklets + added.tracklets,
            known=found.known + added.known,
            bad=found.bad + added.bad,
        )
        notes += [note for note in added.notes if note not in notes]
    return replace(found, seconds=time.monotonic() - began, notes=tuple(notes))
