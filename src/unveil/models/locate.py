"""Which model a path or a name means, and what kind of model it is; what is none gets a sentence that says so."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unveil.errors import CheckpointError, nearest
from unveil.models.catalogue.installed import installed_names, installed_path
from unveil.pretrained import PREFIX, weights_path
from unveil.runtime.card import KINDS, card_path, kind_of, read_json
from unveil.runtime.session import SUFFIXES

NAME = "model.safetensors"
EXTERNAL_NAME = "model.json"  # card of a model of another project in the folder of an adaptation
EXPECTED = (
    "expected the folder of a training run, a .safetensors file of unveil, a file that `unveil export` wrote, an .onnx "
    "or .xml file with a card beside it (`unveil models add FILE --like ...`), or a name (`unveil models list`)"
)
Kind = Literal["trained", "exported", "external"]
_CHECKPOINTS = (".pth", ".pt", ".tar", ".ckpt", ".bin", ".pkl", ".pyth")


@dataclass(frozen=True)
class Located:
    """A model that was found.

    Args:
        kind: "trained": weights of this package; "exported": a file that `unveil export` wrote; "external": a model of
            another project with its card.
        path: of the file.
        source: what loads it: the path, or ``unveil:NAME``.
    """

    kind: Kind
    path: Path
    source: Path | str


def locate(model: Path | str) -> Located:
    """Return where a model is and of what kind.

    Args:
        model: a path, ``unveil:NAME``, or the name of an installed model.

    Raises:
        CheckpointError: it is none; says what it is and what was expected.
    """
    text = str(model)
    if text.startswith(PREFIX):
        return Located("trained", weights_path(text), text)
    path = Path(model)
    if not path.exists() and len(path.parts) == 1 and (found := installed_path(text)) is not None:
        path = found
    if path.is_dir():
        adapted = path / EXTERNAL_NAME
        path = path / NAME
        if not path.is_file() and adapted.is_file() and kind_of(read_json(adapted)) == KINDS["metric"]:
            return _with_card(adapted)
        if not path.is_file():
            raise CheckpointError(f"{model}: a folder without {NAME}; {EXPECTED}")
    if not path.exists():
        raise CheckpointError(f"no model at {model}{nearest(text, installed_names())}; {EXPECTED}")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return Located("trained", path, path)
    if suffix in SUFFIXES or suffix == ".json":
        return _with_card(path)
    raise CheckpointError(f"{path}: {_what_it_is(path)}; {EXPECTED}")


def name_of(source: Path | str) -> str:
    """Return what a trained model is called: ``unveil:NAME``, the folder of its run, or its file without the suffix."""
    if str(source).startswith(PREFIX):
        return str(source)
    path = Path(source) / NAME if Path(source).is_dir() else Path(source)
    return path.resolve().parent.name if path.name == NAME else path.stem


def _with_card(path: Path) -> Located:
    card = card_path(path)
    kind = kind_of(read_json(card)) if card.is_file() else None
    if kind == KINDS["metric"]:
        return Located("external", path, path)
    if kind == KINDS["recipe"] and path == card and path.with_suffix(".safetensors").is_file():
        weights = path.with_suffix(".safetensors")
        return Located("trained", weights, weights)
    if kind in (KINDS["decoder"], KINDS["scheme"]):
        raise CheckpointError(f"{path} is {kind}, by its card {card.name}; a ReID model is wanted here")
    if path == card:
        raise CheckpointError(f"{path}: no card of a ReID model; {EXPECTED}")
    return Located("exported", path, path)


def _what_it_is(path: Path) -> str:
    with path.open("rb") as f:
        head = f.read(16)
    if path.suffix.lower() in _CHECKPOINTS or head[:2] == b"\x80\x02" or zipfile.is_zipfile(path):
        return (
            "a checkpoint of PyTorch: `unveil models import FILE --like torchreid|fastreid|bot|cal|transreid|clipreid` "
            "makes a model of it; of another project, export it to ONNX there, then `unveil models add`"
        )
    if head.startswith((b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"GIF8", b"BM")):
        return "an image, no model"
    return f"a file of {path.stat().st_size:,} bytes that is no model"
