"""A card for a model file of another project: filled in from a preset and the file, tried, and only then written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pydantic import ValidationError

from unveil.atomic_io import atomic_path, sha256, write_text
from unveil.data.fitting import CropSize
from unveil.errors import CheckpointError
from unveil.export.parity import test_crops
from unveil.inference.backends.external import ExternalRunner, external_engine
from unveil.inference.engine import Engine
from unveil.models.catalogue.installed import check_name, models_folder
from unveil.models.foreign.presets import find_preset
from unveil.models.foreign.reid_card import ReidCard
from unveil.runtime.card import card_path
from unveil.runtime.graph import model_files
from unveil.runtime.session import Session, open_fastest


@dataclass(frozen=True)
class Added:
    """A model that has a card now.

    Args:
        card: the card.
        fingerprint: of model and card.
        dimension: numbers of a vector.
        names: of its vectors.
        lengths: of the vectors of two crops, before they are normalised.
        distance: of these two crops.
    """

    card: Path
    fingerprint: str
    dimension: int
    names: tuple[str, ...]
    lengths: tuple[float, float]
    distance: float

    def __str__(self) -> str:
        vectors = f"{len(self.names)} vectors" if len(self.names) > 1 else "a vector"
        return (
            f"{self.card}: {vectors} of {self.dimension} numbers a crop, lengths {self.lengths[0]:.3g} and "
            f"{self.lengths[1]:.3g}, distance of two test crops {self.distance:.3f}; fingerprint {self.fingerprint}"
        )


def add_model(
    model: Path,
    like: str,
    *,
    changes: Mapping[str, Any] | None = None,
    name: str | None = None,
    replace: bool = False,
) -> Added:
    """Write the card of a ReID model of another project, beside it or with a copy of it among the installed models.

    Args:
        model: ``.onnx`` or ``.xml`` file.
        like: name of a preset; see `unveil.models.foreign.presets.PRESETS`.
        changes: values of the card that differ from the preset.
        name: install a copy under this name; by default the card is written beside the model.
        replace: write over a card, or an installed model, that is there.

    Raises:
        CheckpointError: preset, file or values cannot be used, the output is no vector or not finite, two different
            crops get one vector, or there is a card already; nothing is written.
        MissingExtraError: what runs the file is not installed.
        UnveilError: the files cannot be written.
    """
    preset = find_preset(like)
    target = models_folder() / check_name(name) / model.name if name else model
    card_file = target.parent / f"{name}.json" if name else card_path(target)
    if card_file.exists() and not replace:
        raise CheckpointError(f"{card_file} is there already: --replace writes it anew")
    session = open_fastest(model, any_batch=True)
    layout, height, width = _size(session, (preset.height, preset.width))
    fields: dict[str, Any] = {"model": model.name, "layout": layout, "height": height, "width": width}
    fields |= {"metric": "cosine", **preset.card, **(changes or {})}
    files = model_files(model)
    fields |= dict(zip(("sha256", "weights_sha256"), map(sha256, files), strict=False))
    try:
        card = ReidCard.model_validate(fields)
    except ValidationError as e:
        problems = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'card'}: {p['msg']}" for p in e.errors())
        raise CheckpointError(f"{model}: no card: {problems}") from None
    lengths, distance = _tried(session, card)
    words = card.model_dump(mode="json", exclude_defaults=True) | {"model": model.name, "metric": card.metric}
    engine = _loaded(words, model)
    with _all_or_nothing(target.parent):
        if name:
            for file in files:
                with atomic_path(target.parent / file.name) as temporary:
                    shutil.copyfile(file, temporary)
        write_text(card_file, json.dumps(words, indent=2) + "\n")
    return Added(card_file, engine.fingerprint, engine.space_info.dimension, card.names, lengths, distance)


def _loaded(card: dict[str, Any], model: Path) -> Engine:
    """Return the model as it will be loaded by its card, which is not written yet."""
    with TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.json"
        write_text(draft, json.dumps(card | {"model": str(model.absolute())}))
        return external_engine(draft)


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[None]:
    """Remove a folder again that was made within the block, where that fails."""
    there = folder.exists()
    try:
        yield
    except BaseException:
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _size(session: Session, default: tuple[int, int]) -> tuple[str, int, int]:
    """Return layout, height and width of the input, from the file as far as it says."""
    shape = session.input(None).shape
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        found = "; ".join(map(str, session.inputs))
        raise CheckpointError(
            f"{session.path}: expected a model that takes images (n, 3, height, width) or (n, height, width, 3), "
            f"found one that takes {found}"
        )
    layout = "nchw" if shape[1] == 3 else "nhwc"
    sides = shape[2:] if layout == "nchw" else shape[1:3]
    return layout, sides[0] or default[0], sides[1] or default[1]


def _tried(session: Session, card: ReidCard) -> tuple[tuple[float, float], float]:
    """Embed two crops; return the lengths of their vectors, and their distance."""
    crops = np.stack(test_crops(CropSize(card.height, card.width), 2))
    plain = ExternalRunner(session, card.model_copy(update={"normalise": False}))
    vectors, _ = plain(crops)
    if not np.isfinite(vectors).all():
        raise CheckpointError(f"{session.path}: the model answers with NaN or infinity for a test crop")
    first, second = (row.ravel().astype(np.float64) for row in vectors)
    lengths = (float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    if min(lengths) == 0 or np.allclose(first, second, rtol=1e-6, atol=0):
        raise CheckpointError(
            f"{session.path}: two different test crops get {'a zero' if min(lengths) == 0 else 'the same'} vector; the "
            "card does not fit the model"
        )
    cosine = float(first @ second / (lengths[0] * lengths[1]))
    return lengths, 1 - cosine if card.metric == "cosine" else float(np.linalg.norm(first - second))
