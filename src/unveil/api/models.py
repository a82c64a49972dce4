"""Models in a program: load one, embed crops with it, measure it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unveil.api.crops import Crops, dataset_of
from unveil.bulk.shards import load_shards
from unveil.data.images import read_sample
from unveil.data.walk import LeftOutNote
from unveil.errors import DataError, ImageError
from unveil.evaluation.evaluate import Result
from unveil.evaluation.rerank import RerankSettings
from unveil.inference.load import load_embedder
from unveil.models import embeddings
from unveil.models.embed import embed_images, embed_samples
from unveil.models.embedder import Embedder
from unveil.models.embeddings import EmbeddedCrops, embedded_by
from unveil.models.evaluate import evaluate_model
from unveil.pretrained import DEFAULT_MODEL
from unveil.recipe import DataSource
from unveil.records import Sample, Split

log = logging.getLogger(__name__)


def load_model(path: str | Path = DEFAULT_MODEL, *, device: str = "auto", engine: str = "auto") -> Embedder:
    """Load a model.

    Args:
        path: a model file (``.safetensors``), the folder of a training run, ``unveil:NAME`` for weights in this
            package, an exported file, a model of another project (``.onnx``, ``.xml``) with its card, or the name of
            an installed model; by default the weights that the command line uses.
        device: of PyTorch: "auto" (the first GPU, else the CPU), "cpu", "cuda", "cuda:1" ...
        engine: what runs it: "torch", "onnx", "openvino"; "auto" runs models of this package by PyTorch, others as
            they can be run.

    Raises:
        CheckpointError: there is no such model, or the file is damaged.
        MissingExtraError: what runs it is not installed.
        RecipeError: there is no such device or engine.
    """
    return load_embedder(path, engine, device=device)


def embed(
    model: Embedder,
    crops: Crops,
    *,
    split: Split | None = None,
    cache: Path | None = None,
    batch_size: int | None = None,
) -> EmbeddedCrops:
    """Embed crops; what cannot be read is left out and logged as a warning.

    Args:
        model: see `load_model`.
        crops: an image, a list of images, or a source of many; see `unveil.api.crops.Crops`.
        split: only this split of a dataset.
        cache: where decoded files are kept for the next time; the cache of the user by default. Images that are given
            in memory are never written.
        batch_size: crops at a time; that of the model's recipe by default.

    Returns:
        The N samples that could be read, and as numpy arrays ``embedding.vectors`` ``(N, E, D)`` and
        ``embedding.visibility`` ``(N, E)`` in [0, 1].

    Raises:
        DataError: there is no crop, or none can be read.
        ImageError: an image in memory cannot be decoded.
    """
    dataset = dataset_of(crops)
    for note in dataset.notes:
        if isinstance(note, LeftOutNote):
            log.warning("%s: %s", dataset.name, note)
    samples = tuple(sample for sample in dataset.samples if split is None or sample.split == split)
    if not samples:
        raise DataError(f"{dataset.name} has no crop of split {split!r}")
    source = f"{dataset.name}#{dataset.hash}"
    if any(sample.data for sample in samples):  # nothing of what is given in memory may reach a disk
        images = [_read(sample) for sample in samples]
        kept = tuple(sample for sample, image in zip(samples, images, strict=True) if image is not None)
        embedding = embed_images(model, [image for image in images if image is not None], batch_size=batch_size)
        return embedded_by(model.summary, embedding, samples=kept, source=source)
    embedding, store = embed_samples(model, samples, cache=cache, scheme=dataset.parsing_scheme, batch_size=batch_size)
    return embedded_by(model.summary, embedding, samples=store.samples, source=source)


def _read(sample: Sample) -> np.ndarray | None:
    """Return the pixels of a crop; ``None``, after a warning, for a file that cannot be read.

    Raises:
        ImageError: an image in memory cannot be decoded.
    """
    try:
        return read_sample(sample)
    except ImageError as e:
        if sample.data:
            raise
        log.warning("left out: %s", e)
        return None


def load_embeddings(path: str | Path) -> EmbeddedCrops:
    """Read what ``unveil embed`` wrote: a file, or a folder of shards, into memory and in the order of its source.

    Raises:
        DataError: it is missing, damaged, not whole, or something else.
        MissingExtraError: the extra ``ray``, which shards need, is not installed.
    """
    return load_shards(Path(path)) if Path(path).is_dir() else embeddings.load_embeddings(Path(path))


def evaluate(
    model: Embedder,
    data: str | DataSource | Sequence[str | DataSource],
    *,
    protocols: Sequence[str] = (),
    rerank: bool = False,
    cache: Path | None = None,
) -> list[Result]:
    """Measure a model: CMC, mAP and mINP with 95 % intervals.

    Args:
        model: see `load_model`.
        data: datasets to test on, ``name:root?option=value``, for example ``market1501:/data/market`` or
            ``manifest:crops/manifest.csv``.
        protocols: names of protocols; by default all that a dataset's own papers use.
        rerank: also report each figure after k-reciprocal re-ranking.
        cache: where decoded files are kept for the next time; the cache of the user by default.

    Returns:
        One result for each dataset and protocol, in order; printed, each names protocol, hash and dropped queries.

    Raises:
        DataError: a dataset cannot be read.
        ProtocolError: a protocol is unknown, or a dataset lacks what it needs.
    """
    several = [data] if isinstance(data, (str, DataSource)) else data
    sources = [source if isinstance(source, DataSource) else DataSource.of(source) for source in several]
    return evaluate_model(
        model, sources, protocols=tuple(protocols), cache=cache, rerank=RerankSettings() if rerank else None
    )
