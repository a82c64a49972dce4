"""Parsing maps of a store in the label set that a method asks for, translated once and kept beside the store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from unveil.data.catalog import load_dataset
from unveil.data.store import ImageStore
from unveil.data.training import TrainingSet
from unveil.files import atomic_path
from unveil.methods import method_needs
from unveil.parsing.mapping import map_labels
from unveil.progress import track
from unveil.recipe import DataSource, Recipe
from unveil.records import UNLABELLED
from unveil.world.labels import table as world_table


def store_in(store: ImageStore, source: str, target: str) -> ImageStore:
    """Return a store whose parsing maps are in another label set.

    Raises:
        DataError: there is no sensible way from ``source`` to ``target``.
    """
    if store.parsing is None or source == target:
        return store
    path = store.path / f"parsing-{source}-{target}-{store.content_hash}.npy"
    if not path.exists():
        table = world_table(target) if source == "world" else None
        with atomic_path(path) as temporary:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=store.parsing.shape)
            for row in track(range(len(out)), f"translating parsing maps from {source} to {target}"):
                labels = store.parsing[row]
                mapped = map_labels(labels, source, target) if table is None else table[labels]
                out[row] = np.where(labels == UNLABELLED, UNLABELLED, mapped)
            out.flush()
    return dataclasses.replace(store, parsing=np.load(path, mmap_mode="r"))


def open_training_set(recipe: Recipe, cache: Path | None = None) -> TrainingSet:
    """Open the training data of a recipe, a world's with its maps in the label set that the method trains with.

    A world knows every label set exactly; a translation from another one would have to guess, for example the arm
    under a sleeve. An option ``scheme`` in the recipe is left as it is.

    Raises:
        RecipeError: the method or one of its settings is unknown.
        DataError: a dataset cannot be read or has nothing to train on.
    """
    target = method_needs(recipe.method.name, recipe.method.settings).train_parsing
    datasets = [load_dataset(_world_in(source, target)) for source in recipe.data.train]
    return TrainingSet.open(datasets, recipe.input, cache)


def _world_in(source: DataSource, target: str | None) -> DataSource:
    if source.name != "world" or target is None or "scheme" in source.options:
        return source
    return source.model_copy(update={"options": {**source.options, "scheme": target}})


def training_set_in(data: TrainingSet, target: str | None) -> TrainingSet:
    """Return a training set with parsing maps in the label set that a method trains with, or without any."""
    if target is None or data.parsing_scheme is None:
        stores = tuple(dataclasses.replace(store, parsing=None) for store in data.stores)
        return dataclasses.replace(data, stores=stores, parsing_scheme=None)
    stores = tuple(store_in(store, data.parsing_scheme, target) for store in data.stores)
    return dataclasses.replace(data, stores=stores, parsing_scheme=target)
