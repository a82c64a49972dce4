"""What must be the same for a run to go on: every key of the recipe that changes what is trained, and the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from unveil.errors import CheckpointError
from unveil.recipe import Recipe

# A longer run, when it is measured and kept, and what memory it takes change nothing of the steps that were taken.
FREE = ("train.epochs", "train.eval_every", "train.checkpoint_every", "train.eval_batch", "train.device",
        "train.activation_checkpointing", "data.test", "data.protocols", "backbone.licences")  # fmt: skip
KEYS_SHOWN = 5


@dataclass(frozen=True)
class Identity:
    """What a saved state belongs to: a recipe, as plain data, and the hash of the training crops."""

    recipe: Mapping[str, Any]
    content: str

    @classmethod
    def of(cls, recipe: Recipe, content: str) -> Identity:
        """Return the identity of a run."""
        return cls(recipe.model_dump(mode="json"), content)

    def to_state(self) -> dict[str, Any]:
        """Return plain data for the state."""
        return {"recipe": dict(self.recipe), "content": self.content}


def check_same_run(saved: Mapping[str, Any], wanted: Identity, *, epochs_done: int, where: str) -> tuple[str, ...]:
    """Return the keys that differ and may.

    Args:
        saved: what `Identity.to_state` gave when the state was written.
        wanted: of the run that is to go on.
        epochs_done: whole epochs in the state.
        where: the file, for errors.

    Raises:
        CheckpointError: another key differs, the data do, or there are more epochs in the state than are wanted.
    """
    # Settings that are younger than the state had their defaults.
    before = dict(_flat(Recipe().model_dump(mode="json"))) | dict(_flat(saved["recipe"]))
    after = dict(_flat(wanted.recipe))
    differ = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    wrong = [key for key in differ if not key.startswith(FREE)]
    if wrong:
        shown = "; ".join(f"{key} was {before.get(key)!r} and is {after.get(key)!r}" for key in wrong[:KEYS_SHOWN])
        more = f"; and {len(wrong) - KEYS_SHOWN} more keys" if len(wrong) > KEYS_SHOWN else ""
        raise CheckpointError(
            f"{where} belongs to another recipe: {shown}{more}. Give the same values, or another --out; "
            "train.epochs may be larger; backbone.init=RUN starts a new run from the backbone alone"
        )
    if saved["content"] != wanted.content:
        raise CheckpointError(
            f"{where} belongs to other data: the training crops have the hash {wanted.content}, in the state it is "
            f"{saved['content']}; choose another --out or start afresh"
        )
    epochs = int(wanted.recipe["train"]["epochs"])
    if epochs < epochs_done:
        raise CheckpointError(f"{where} has {epochs_done} epochs behind it, train.epochs={epochs} asks for fewer")
    return tuple(differ)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value
