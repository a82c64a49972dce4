"""Embedding crops with a trained model: decode into the image store, then index-select, normalise, embed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from unveil.data.augment.pipeline import normalise
from unveil.data.store.image_store import ImageStore, open_store
from unveil.errors import DataError
from unveil.methods.inference import embed_batches
from unveil.models.checkpoint import TrainedModel
from unveil.models.device import use_bf16
from unveil.models.parsing_maps import store_in
from unveil.progress import track
from unveil.records import Batch, Embedding, Sample


def embed_samples(
    model: TrainedModel,
    samples: Sequence[Sample],
    cache: Path | None = None,
    scheme: str | None = None,
    batch_size: int | None = None,
) -> tuple[Embedding, ImageStore]:
    """Embed crops in order; crops that cannot be read are left out and listed in ``store.bad``.

    Args:
        model: a trained model.
        samples: the crops.
        cache: folder of the image store.
        scheme: label set of the crops' parsing maps; they are used only by methods that test with them.
        batch_size: crops at a time; the recipe's ``train.eval_batch`` by default.

    Returns:
        The embedding (numpy, one row for each of ``store.samples``) and the store.

    Raises:
        DataError: the model answers with numbers that are not finite.
    """
    wanted = model.method.needs.test_parsing
    looks_at_maps = scheme is not None and wanted is not None
    store = open_store(samples, model.input, cache, partial_maps=looks_at_maps)
    if scheme and wanted and store.parsing is not None:
        store = store_in(store, scheme, wanted)
    else:
        store = dataclasses.replace(store, parsing=None)
    batches = _batches(model, store, batch_size or model.recipe.train.eval_batch)
    bf16 = use_bf16(model.recipe.train.precision, model.device)
    embedding = embed_batches(model.method, batches, bf16=bf16)
    if not embedding.is_finite:
        bad = np.flatnonzero(
            ~np.isfinite(embedding.vectors).all(axis=(1, 2)) | ~np.isfinite(embedding.visibility).all(1)
        )
        raise DataError(
            f"the model answers with NaN or infinity for {len(bad)} of {len(embedding)} crops, for example "
            f"{store.samples[int(bad[0])].key!r}: its training diverged, or its weights are damaged"
        )
    return embedding, store


def _batches(model: TrainedModel, store: ImageStore, size: int) -> Iterator[Batch]:
    starts = range(0, len(store.samples), size)
    for start in track(starts, f"embedding {len(store.samples)} crops"):
        images = torch.from_numpy(np.array(store.images[start : start + size])).permute(0, 3, 1, 2)
        parsing = None if store.parsing is None else torch.from_numpy(np.array(store.parsing[start : start + size]))
        unknown = torch.full((len(images),), -1)
        batch = Batch(images, unknown, parsing=parsing).map(lambda t: t.to(model.device))
        yield normalise(batch, model.input)
