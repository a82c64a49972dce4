"""What a run starts from: found once, noted in the folder of the run, and read there when the run is resumed."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from unveil.atomic_io import write_text
from unveil.errors import CheckpointError, RecipeError
from unveil.methods import method_class
from unveil.models.card import Start
from unveil.models.starts import RANDOM, FoundStart, find_start
from unveil.recipe import Recipe

NAME = "start.json"


def start_of_run(recipe: Recipe, out: Path, *, resume: bool) -> FoundStart:
    """Return what the backbone of a run starts from.

    A resumed run has its weights in its state: it needs no file of weights any more, only the note of what it was.

    Args:
        recipe: the run.
        out: folder of the run, whose ``start.json`` is read when it is resumed.
        resume: whether the run in the folder is resumed.

    Raises:
        RecipeError: the recipe does not say what to start from, or would keep layers fixed that hold random weights.
        CheckpointError: the weights, or the note of a run that is resumed, are damaged.
        DownloadError: the weights are not here and cannot be fetched.
    """
    note = out / NAME
    if resume and note.is_file():
        try:
            return FoundStart(Start.model_validate_json(note.read_text(encoding="utf-8")), None)
        except (ValidationError, UnicodeDecodeError):
            raise CheckpointError(f"{note} is damaged: copy `start` of the run's model.json into it") from None
    if not method_class(recipe.method.name).has_backbone:
        found = FoundStart(Start(kind="none"), None)
    else:
        _check_frozen(recipe)
        found = find_start(recipe.backbone)
    return found


def write_start(start: Start, out: Path) -> None:
    """Note in the folder of a run what it starts from; once nothing refuses the run any more."""
    write_text(out / NAME, start.model_dump_json(indent=2) + "\n")


def _check_frozen(recipe: Recipe) -> None:
    kept = {
        "optim.freeze_iterations": recipe.optim.freeze_iterations,
        "backbone.frozen_stages": recipe.backbone.frozen_stages,
    }
    asked = [f"{key}={value}" for key, value in kept.items() if value]
    if asked and recipe.backbone.init == RANDOM:
        raise RecipeError(
            f"{' and '.join(asked)} keeps layers as they start, and backbone.init=random starts them from random "
            "weights: set it to 0, or start from backbone.init=imagenet"
        )
