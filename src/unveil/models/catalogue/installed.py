"""The models that are installed here: each in a folder of its name, with its card."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from unveil.errors import CheckpointError
from unveil.runtime.card import KINDS, kind_of, read_json

FOLDER = "UNVEIL_MODELS"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
REID, DETECTOR, PARSER, TRAINED = (KINDS[key] for key in ("metric", "decoder", "scheme", "recipe"))


@dataclass(frozen=True)
class Installed:
    """An installed model.

    Args:
        name: by which it is called.
        kind: one of `unveil.runtime.card.KINDS`.
        card: its card; a model of this package has its weights beside it.
    """

    name: str
    kind: str
    card: Path

    @property
    def model(self) -> Path:
        """What loads it: the card of a model of another project, the weights of one of this package."""
        return self.card.with_suffix(".safetensors") if self.kind == TRAINED else self.card


def models_folder() -> Path:
    """Return the folder of installed models: ``$UNVEIL_MODELS``, else ``unveil/models`` in the user's data folder."""
    named = os.environ.get(FOLDER, "").strip()
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(named) if named else data / "unveil" / "models"


def installed() -> list[Installed]:
    """Return the installed models, sorted by name; a folder that holds no card is none of them."""
    folder = models_folder()
    found = (_installed(path) for path in sorted(folder.iterdir())) if folder.is_dir() else ()
    return [model for model in found if model is not None]


def installed_names() -> list[str]:
    """Return the names of the installed models, sorted."""
    return [model.name for model in installed()]


def installed_path(name: str) -> Path | None:
    """Return what loads the installed model of that name; ``None`` where there is none."""
    model = _installed(models_folder() / name) if NAME.fullmatch(name) else None
    return None if model is None else model.model


def check_name(name: str) -> str:
    """Return a name that an installed model can have.

    Raises:
        CheckpointError: it has characters that make no plain folder name.
    """
    if not NAME.fullmatch(name):
        raise CheckpointError(f"name {name!r}: expected letters, digits, '.', '_' and '-', at most 100")
    return name


def _installed(folder: Path) -> Installed | None:
    card = folder / f"{folder.name}.json"
    if not NAME.fullmatch(folder.name) or not card.is_file():
        return None
    try:
        kind = kind_of(read_json(card))
    except CheckpointError:
        return None
    return None if kind is None else Installed(folder.name, kind, card)
