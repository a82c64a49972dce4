"""``splits=10`` in a source: a small benchmark under its first ten splits, whose figures are averaged.

VIPeR, PRID, GRID, i-LIDS, CAVIAR4REID and 3DPeS are halved ten times; their papers report the mean.
"""

from __future__ import annotations

import hashlib
import typing

from unveil.data.catalog import SPLITS_OPTION as OPTION
from unveil.data.catalog import load_dataset, options_of
from unveil.data.readers.viper import SPLITS
from unveil.errors import DataError
from unveil.recipe import DataSource
from unveil.records import Dataset

ONE = "split"


def is_averaged(source: DataSource) -> bool:
    """Return whether a source stands for several splits."""
    return OPTION in source.options


def has_splits(name: str) -> bool:
    """Return whether the reader of that name has numbered splits."""
    return int in typing.get_args(options_of(name).get(ONE))


def sources_of(source: DataSource) -> tuple[DataSource, ...]:
    """Return the sources that a source with ``splits=N`` stands for, ``split=0`` to ``split=N-1``; else itself.

    Raises:
        DataError: the dataset has no numbered splits, both options are given, or the number is out of range.
    """
    if not is_averaged(source):
        return (source,)
    where = f"{source}: {OPTION}={source.options[OPTION]}"
    if not has_splits(source.name):
        raise DataError(f"{where}: {source.name!r} has no numbered splits")
    if ONE in source.options:
        raise DataError(f"{where}: name one split, or how many, not both")
    text = source.options[OPTION]
    if not text.isdecimal() or not 1 <= int(text) <= SPLITS:
        raise DataError(f"{where}: expected how many splits to average, 1 to {SPLITS}")
    rest = {name: value for name, value in source.options.items() if name != OPTION}
    return tuple(source.model_copy(update={"options": rest | {ONE: str(n)}}) for n in range(int(text)))


def load_splits(source: DataSource) -> tuple[Dataset, ...]:
    """Read a source under every split that it names; one dataset for a source without ``splits``."""
    return tuple(load_dataset(one) for one in sources_of(source))


def hash_of(datasets: tuple[Dataset, ...]) -> str:
    """Return the hash of a dataset under its splits (12 hex digits); of a single one its own."""
    if len(datasets) == 1:
        return datasets[0].hash
    return hashlib.sha256(" ".join(dataset.hash for dataset in datasets).encode()).hexdigest()[:12]
