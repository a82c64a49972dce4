"""What a method asks of parsing maps to train: maps in its label set, and crops without their clothes, made once."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np

from unveil.atomic_io import atomic_path
from unveil.data.images import resize
from unveil.data.listing import SeenPeopleNote
from unveil.data.prefetch import in_threads
from unveil.data.store.build import BadFile, read_crop
from unveil.data.store.image_store import ImageStore
from unveil.data.training import TrainingSet
from unveil.datasets import load_dataset
from unveil.errors import DataError
from unveil.label_sets import CRE7, CRE7_ERASED, check_labels, get_scheme
from unveil.methods import method_requirements
from unveil.methods.method import Requirements
from unveil.models.translated_maps import mapped, store_in, tables_hash
from unveil.progress import track
from unveil.recipe import DataSource, InputSettings, Recipe
from unveil.records import Sample

log = logging.getLogger(__name__)


def open_training_set(recipe: Recipe, cache: Path | None = None) -> TrainingSet:
    """Open the training data of a recipe, with parsing maps where its method or ``augment.background`` wants them.

    The maps of a world are in the label set that the method trains with.

    A world knows every label set exactly; a translation from another one would have to guess, for example the arm
    under a sleeve. An option ``scheme`` in the recipe is left as it is.

    Raises:
        RecipeError: the method or one of its settings is unknown.
        DataError: a dataset cannot be read or has nothing to train on.
    """
    target = method_requirements(recipe.method.name, recipe.method.settings).train_parsing
    datasets = [load_dataset(_world_in(source, target)) for source in recipe.data.train]
    for dataset in datasets:
        for note in dataset.notes:
            if isinstance(note, SeenPeopleNote):
                log.warning("%s: %s", dataset.name, note)
    return TrainingSet.open(
        datasets, recipe.input, cache=cache, with_maps=target is not None or recipe.augment.background > 0
    )


def _world_in(source: DataSource, target: str | None) -> DataSource:
    if source.name != "world" or target is None or "scheme" in source.options:
        return source
    return source.model_copy(update={"options": {**source.options, "scheme": target}})


def training_set_for(data: TrainingSet, requirements: Requirements, *, size: InputSettings) -> TrainingSet:
    """Return a training set with the parsing maps, and the crops without clothes, that a method needs.

    Maps that were opened for the augmentation alone stay as they are: the background is label 0 of every label set.

    Raises:
        DataError: the label set of the maps cannot become the one needed, or a map has labels of another set.
    """
    scheme, target = data.parsing_scheme, requirements.train_parsing
    if target is None or scheme is None:
        return data
    for store in data.stores:
        _check_labels(store, scheme)
    stores = tuple(store_in(store, scheme, target=target) for store in data.stores)
    if requirements.train_erased:
        stores = tuple(_without_clothes(store, scheme, size=size) for store in stores)
    return dataclasses.replace(data, stores=stores, parsing_scheme=target)


def _without_clothes(store: ImageStore, scheme: str, *, size: InputSettings) -> ImageStore:
    """Return a store with ``erased``: black where clothes are, at native resolution and then resized.

    Resizing first would leave a rim in which the colours of clothes are mixed with what is around them.
    """
    path = store.path / f"erased-{scheme}-{tables_hash(scheme, target=CRE7.name)}-{store.content_hash}.npy"
    if not path.exists():
        with atomic_path(path) as temporary:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=store.images.shape)
            erased = in_threads(lambda sample: _erase(sample, scheme, size=size), store.samples)
            for row, image in enumerate(track(erased, "erasing clothes", total=len(out))):
                out[row] = image
            out.flush()
    return dataclasses.replace(store, erased=np.load(path, mmap_mode="r"))


def _erase(sample: Sample, scheme: str, *, size: InputSettings) -> np.ndarray:
    crop = read_crop(sample, with_parsing=True)
    if isinstance(crop, BadFile):
        raise DataError(crop.reason)
    assert crop.parsing is not None  # without a map for every crop there is no label set
    image, labels = crop.image.copy(), crop.parsing
    image[np.isin(mapped(labels, scheme, target=CRE7.name), CRE7_ERASED)] = 0
    return resize(image, size.height, size.width, interpolation=size.interpolation)


def _check_labels(store: ImageStore, scheme: str, *, rows: int = 1024) -> None:
    if store.parsing is None or scheme == "world":
        return
    known = len(get_scheme(scheme).labels)
    for start in range(0, len(store), rows):
        block = store.parsing[start : start + rows]
        for row in np.flatnonzero((block >= known).any(axis=(1, 2)))[:1]:
            check_labels(block[row], get_scheme(scheme), path=store.samples[start + row].parsing or "")
