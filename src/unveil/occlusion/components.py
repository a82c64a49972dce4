"""Maps that tell all six components of the occlusion recipe: found in a tree, or made by the package's parser.

The recipe draws head, torso, upper and lower arms, upper and lower legs: the labels of Pascal-Person-Part. Label sets
of clothes (LIP, ATR) do not tell upper from lower arms, so a fifth of their images would stay untouched.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import numpy as np

from unveil.atomic_io import cache_dir
from unveil.data.parsing_tree import attach_parsing
from unveil.data.store.image_store import file_states, where_of
from unveil.errors import DataError
from unveil.label_sets import PASCAL7, get_scheme
from unveil.occlusion.parts import COMPONENTS
from unveil.parsing.default import default_parser
from unveil.parsing.mapping import map_labels
from unveil.parsing.parse import parse_dataset
from unveil.records import Dataset

log = logging.getLogger(__name__)


def missing_components(scheme: str | None) -> tuple[str, ...]:
    """Return the components that maps of a label set can never show; none for maps without one and for a world's."""
    if scheme is None or scheme == "world":
        return ()
    labels = np.arange(len(get_scheme(scheme).labels), dtype=np.uint8)[None]
    shown = set(map_labels(labels, scheme, target=PASCAL7.name).ravel().tolist())
    return tuple(name for name in COMPONENTS if PASCAL7.index(name) not in shown)


def warn_of_missing(dataset: Dataset, drawn: tuple[str, ...]) -> None:
    """Log which of the drawn components the maps of a dataset can never show."""
    missing = [name for name in missing_components(dataset.parsing_scheme) if name in drawn]
    if missing:
        log.warning(
            "maps of the label set %s never show %s: images for which it is drawn stay untouched; use maps in pascal7 "
            "(`unveil parse ... --scheme pascal7`)",
            dataset.parsing_scheme,
            ", ".join(missing),
        )


def with_components(dataset: Dataset, tree: Path, *, scheme: str | None = None, parse: bool = True) -> Dataset:
    """Return a dataset with maps in Pascal-Person-Part.

    Args:
        dataset: what to occlude.
        tree: folder that holds ``parsing/pascal7``, if anything does.
        scheme: label set that the user named.
        parse: where there is no such tree, let the package's own parser make the maps, in the cache.

    Raises:
        DataError: the user named a label set that lacks components, or a tree without ``pascal7``.
        MissingExtraError: the parser is needed and ONNX Runtime is not installed.
    """
    if scheme not in (None, PASCAL7.name):
        raise DataError(
            f"the recipe draws from the components of {PASCAL7.name} and maps of {scheme!r} never show "
            f"{', '.join(missing_components(scheme)) or 'them by these names'}: leave --scheme out, or parse with "
            f"--scheme {PASCAL7.name}"
        )
    folder = tree / "parsing" / PASCAL7.name
    if folder.is_dir():
        return attach_parsing(dataset, tree, scheme=PASCAL7.name)[0]
    if not parse:
        found = ", ".join(sorted(p.name for p in folder.parent.iterdir())) if folder.parent.is_dir() else "nothing"
        raise DataError(
            f"expected maps of {PASCAL7.name} in {folder}, found {found} in {folder.parent}: make them with "
            f"`unveil parse ... --scheme {PASCAL7.name} --out {tree}`, or leave --parsing out and the package's own "
            "parser makes them"
        )
    parser = default_parser(scheme=PASCAL7.name)
    made = cache_dir() / "components" / f"{dataset.hash}-{_files_hash(dataset)}-{parser.fingerprint}"
    log.info("no maps in %s: the package's own parser makes them, in %s", folder, made)
    report = parse_dataset(dataset, parser, root=made)
    for problem in report.unreadable:
        log.warning("%s", problem)
    return attach_parsing(dataset, made, scheme=PASCAL7.name)[0]


def _files_hash(dataset: Dataset) -> str:
    """Return a hash of where the images are and of their sizes and times of change: maps are of these pixels alone."""
    states = file_states(dataset.samples, with_parsing=False)
    files = json.dumps([list(map(where_of, dataset.samples)), states])
    return hashlib.sha256(files.encode()).hexdigest()[:16]
