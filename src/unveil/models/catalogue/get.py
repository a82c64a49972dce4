"""Fetching a known model into the folder of installed models: checked, its card last, so that it is there or not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from unveil.atomic_io import sha256, write_text
from unveil.errors import CheckpointError
from unveil.models.catalogue.download import fetch
from unveil.models.catalogue.entry import KnownModel, PublishedFile
from unveil.models.catalogue.installed import models_folder
from unveil.models.catalogue.transfer import Progress

Shown = Callable[[PublishedFile], AbstractContextManager[Progress | None]]


def get_model(known: KnownModel, *, accepted: bool = False, shown: Shown = lambda file: nullcontext()) -> Path:
    """Fetch a model, or what is missing of it, and return its card.

    Args:
        known: what the catalogue says of it.
        accepted: the user accepts its restriction, if it has one.
        shown: gives for each file what is told of its progress.

    Raises:
        CheckpointError: it has a restriction that was not accepted.
        DownloadError: it cannot be fetched; what came so far is kept for the next try, and nothing is installed.
    """
    if known.restriction and not accepted:
        raise CheckpointError(
            f"{known.name}: {known.restriction}; licence: {known.licence}. To fetch it all the same: "
            f"`unveil models get {known.name} --accept-licence`"
        )
    folder = models_folder() / known.name
    paths = []
    for file in known.files:
        with shown(file) as progress:
            target = folder / file.name
            paths.append(
                fetch(
                    file.address, target, digest=file.digest, size=file.size, licence=known.licence, progress=progress
                )
            )
    card = folder / f"{known.name}.json"
    write_text(card, json.dumps(card_of(known, paths), indent=2) + "\n")
    return card


def card_of(known: KnownModel, paths: list[Path]) -> dict[str, object]:
    """Return the card of a known model whose files are there."""
    card: dict[str, object] = {"model": paths[0].name, **known.card}
    card |= {"sha256": sha256(paths[0])} | ({"weights_sha256": sha256(paths[1])} if len(paths) > 1 else {})
    return card | {
        "about": known.about, "source": known.source, "trained_on": known.trained_on, "licence": known.licence
    }  # fmt: skip
