"""The project's own tree of parsing maps, ``<root>/parsing/<scheme>/<relative image path>.png``.

A map may also carry the image's name with its suffix replaced, as other tools name it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from unveil.data.listing import FileNote
from unveil.data.walk import PARSING
from unveil.errors import DataError
from unveil.records import Dataset


@dataclass(frozen=True)
class ParsingShare:
    """How many samples have a parsing map.

    Args:
        total: samples asked for.
        missing: keys of those without a map, in order.
    """

    total: int
    missing: tuple[str, ...]

    @property
    def share_missing(self) -> float:
        """Fraction of samples without a map, in [0, 1]."""
        return len(self.missing) / self.total if self.total else 0.0

    def __str__(self) -> str:
        if not self.missing:
            return f"parsing maps: all {self.total} found"
        shown = ", ".join(self.missing[:3]) + (", ..." if len(self.missing) > 3 else "")
        return f"parsing maps: {len(self.missing)} of {self.total} missing ({self.share_missing:.1%}): {shown}"


def parsing_path(root: Path, scheme: str, *, key: str) -> Path:
    """Return where the map of an image is written."""
    return root / PARSING / scheme / f"{key}.png"


def find_parsing(root: Path, scheme: str, *, key: str) -> Path | None:
    """Return the map of an image by its relative path, or ``None``."""
    replaced = root / PARSING / scheme / PurePosixPath(key).with_suffix(".png")
    return next((path for path in (parsing_path(root, scheme, key=key), replaced) if path.is_file()), None)


def attach_parsing(dataset: Dataset, root: Path, *, scheme: str | None = None) -> tuple[Dataset, ParsingShare]:
    """Return the dataset with the maps of a tree attached, and how many are missing (also a note of the dataset).

    Args:
        dataset: samples whose keys are paths relative to their root.
        root: folder that holds ``parsing/``.
        scheme: label set, by the name of its folder; ``None`` takes the only one there is.

    Raises:
        DataError: no such tree, several schemes to choose from, or not one map for any sample.
    """
    scheme = scheme or _only_scheme(root)
    if not (root / PARSING / scheme).is_dir():
        raise DataError(f"no parsing tree: expected the folder {root / PARSING / scheme}")
    samples = [dataclasses.replace(s, parsing=find_parsing(root, scheme, key=s.key)) for s in dataset.samples]
    share = ParsingShare(len(samples), tuple(s.key for s in samples if s.parsing is None))
    if share.share_missing == 1:
        raise DataError(
            f"{root / PARSING / scheme} holds no map for any of the {share.total} samples of {dataset.name!r}; "
            f"expected for example {parsing_path(root, scheme, key=samples[0].key)}"
        )
    notes = (*dataset.notes, FileNote(str(share), share.missing)) if share.missing else dataset.notes
    return dataclasses.replace(dataset, samples=tuple(samples), parsing_scheme=scheme, notes=notes), share


def _only_scheme(root: Path) -> str:
    folder = root / PARSING
    found = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if len(found) != 1:
        raise DataError(f"expected one scheme in {folder}, found {', '.join(found) or 'none'}; name the scheme")
    return found[0]
