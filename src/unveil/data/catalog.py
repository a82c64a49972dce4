"""The datasets by name. Adding one is a file with a function ``read`` and a line in `READERS`."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unveil.data.listing import FileNote
from unveil.data.parsing_tree import attach_parsing
from unveil.data.text import is_file
from unveil.data.walk import is_dir, joined
from unveil.errors import DataError, nearest
from unveil.recipe import DataSource
from unveil.records import Dataset

READERS = {
    "folder": "unveil.data.readers.folder:read",
    "manifest": "unveil.data.readers.manifest:read",
    "market1501": "unveil.data.readers.market1501:read",
    "viper": "unveil.data.readers.viper:read",
    "cuhk03": "unveil.data.readers.cuhk03:read",
    "dukemtmc": "unveil.data.readers.duke:read",
    "occluded_duke": "unveil.data.readers.occluded_duke:read",
    "occluded_reid": "unveil.data.readers.occluded_reid:read",
    "p_dukemtmc": "unveil.data.readers.p_dukemtmc:read",
    "prcc": "unveil.data.readers.prcc:read",
    "occ_prcc": "unveil.data.readers.prcc:read_occ",
    "ltcc": "unveil.data.readers.ltcc:read",
    "occ_ltcc": "unveil.data.readers.ltcc:read_occ",
    "vc_clothes": "unveil.data.readers.vc_clothes:read",
    "nkup": "unveil.data.readers.nkup:read",
    "opreid": "unveil.data.readers.opreid:read",
    "msmt17": "unveil.data.readers.msmt17:read",
    "partial_reid": "unveil.data.readers.partial_reid:read",
    "partial_ilids": "unveil.data.readers.partial_ilids:read",
    "celeb_reid": "unveil.data.readers.celeb_reid:read",
    "deepchange": "unveil.data.readers.deepchange:read",
    "last": "unveil.data.readers.last:read",
    "ccvid": "unveil.data.readers.ccvid:read",
    "prid": "unveil.data.readers.prid:read",
    "grid": "unveil.data.readers.grid:read",
    "ilids": "unveil.data.readers.ilids:read",
    "caviar": "unveil.data.readers.caviar:read",
    "3dpes": "unveil.data.readers.pes3d:read",
}
COMMON_OPTIONS = ("parsing", "parsing_scheme", "outfits")
UNKNOWN = re.compile(r"-0*1(\.0*)?")
SPLITS_OPTION = "splits"  # of a source that stands for several; see unveil.datasets.splits


def register(name: str, function: str) -> None:
    """Add a dataset whose reader lies in a layer above this one.

    Args:
        name: of the dataset.
        function: its reader, as ``module:function``; imported when the dataset is first read.
    """
    READERS[name] = function


def reader(name: str) -> Callable[..., Dataset]:
    """Return the function ``read(root, *, option=...)`` of a dataset.

    Raises:
        DataError: no dataset has that name.
    """
    if name not in READERS:
        known = ", ".join(sorted(READERS))
        meant = _as_source(name) or nearest(name, READERS)
        raise DataError(f"unknown dataset {name!r}{meant}; known: {known}")
    module, _, attribute = READERS[name].partition(":")
    function: Callable[..., Dataset] = getattr(importlib.import_module(module), attribute)
    return function


def _as_source(name: str) -> str:
    """Return how a path is written as a dataset, where somebody gave a path as the name of one."""
    path = Path(name.partition("?")[0])
    if is_dir(path):
        manifest = path / "manifest.csv"
        return f"; that is a folder: write {f'manifest:{manifest}' if is_file(manifest) else f'folder:{path}'}"
    if is_file(path) and path.suffix.lower() == ".csv":
        return f"; that is a file: write manifest:{path}"
    return ""


def load_dataset(source: DataSource) -> Dataset:
    """Read the dataset that a source names.

    Beside its own options every dataset takes ``parsing``, the root of a tree ``parsing/<scheme>/...`` of its maps, and
    ``parsing_scheme``, where that tree has several; ``outfits=person`` gives every person one outfit, for a set without
    labels of clothes that was filmed within minutes.

    Raises:
        DataError: unknown name or option, a wrong value, a missing folder, or files that are not that dataset.
    """
    read = reader(source.name)
    options = _typed(read, source)
    root = None if source.root is None else Path(source.root).expanduser()
    # A reader that does without a root makes its data itself, and knows names beside folders.
    if inspect.signature(read).parameters["root"].default is inspect.Parameter.empty:
        if root is None:
            raise DataError(f"dataset {source.name!r}: where is it? Write {source.name}:/path/to/it")
        if not root.exists():
            raise DataError(f"dataset {source.name!r}: {root} does not exist")
    dataset = read(root, **options)
    dataset = dataclasses.replace(dataset, notes=joined((*dataset.notes, *_called_unknown(dataset))))
    if "outfits" in source.options:
        dataset = _one_outfit_each(dataset, source)
    if "parsing" not in source.options:
        return dataset
    return attach_parsing(dataset, Path(source.options["parsing"]), scheme=source.options.get("parsing_scheme"))[0]


def options_of(name: str) -> dict[str, Any]:
    """Return the options of a dataset by name, each with its type."""
    read = reader(name)
    hints = typing.get_type_hints(read, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    return {p.name: hints[p.name] for p in inspect.signature(read).parameters.values() if p.kind is keyword}


def _one_outfit_each(dataset: Dataset, source: DataSource) -> Dataset:
    if (asked := source.options["outfits"]) != "person":
        raise DataError(f"dataset {source.name!r}: option 'outfits' must be 'person', found {asked!r}")
    if any(sample.clothes is not None for sample in dataset.samples):
        raise DataError(f"dataset {source.name!r} says who wears what: leave out the option 'outfits'")
    samples = tuple(dataclasses.replace(sample, clothes=sample.person) for sample in dataset.samples)
    notes = tuple(note for note in dataset.notes if not note.startswith("clothes is unknown"))
    return dataclasses.replace(dataset, samples=samples, notes=(*notes, "every person is said to wear one outfit"))


def _called_unknown(dataset: Dataset) -> list[str]:
    """Return a note when crops carry the person -1, which many tools write for "unknown" and which is a person here."""
    keys = [s.key for s in dataset.samples if s.person is not None and UNKNOWN.fullmatch(s.person)]
    said = f"{len(keys)} crops have the person -1 and count as one person: leave the person empty where it is unknown"
    return [FileNote(said, keys)] if keys else []


def _typed(read: Callable[..., Dataset], source: DataSource) -> dict[str, Any]:
    known = options_of(source.name)
    values = {}
    for option, text in source.options.items():
        if option in COMMON_OPTIONS:
            continue
        where = f"dataset {source.name!r}: option {option!r}"
        if option == SPLITS_OPTION and "split" in known:
            raise DataError(f"{where} averages tests: to train, or to look at the data, name one split (split=0)")
        if option not in known:
            every = sorted((*known, *COMMON_OPTIONS))
            raise DataError(f"{where} is unknown{nearest(option, every)}; known: {', '.join(every)}")
        try:
            values[option] = TypeAdapter(known[option]).validate_python(text)
        except ValidationError as e:
            raise DataError(f"{where}: {e.errors()[0]['msg']}, found {text!r}") from None
    return values
