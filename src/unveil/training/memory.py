"""What to say when a step of training needs more memory than there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from unveil.errors import TrainingError, is_out_of_memory
from unveil.recipe import Recipe


@contextmanager
def memory_explained(recipe: Recipe) -> Iterator[None]:
    """Say which settings need less memory when a step within the block has too little.

    Raises:
        TrainingError: in place of the error of the device or of the machine.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as e:
        if not is_out_of_memory(e):
            raise
        size, sampler = recipe.input, recipe.sampler
        changes = ["a smaller sampler.persons or sampler.images (train.accumulate=2 makes one step of two batches)"]
        if not recipe.train.activation_checkpointing:
            changes.append("train.activation_checkpointing=true")
        raise TrainingError(
            f"the memory does not suffice for steps of {sampler.persons * sampler.images} crops of "
            f"{size.height}x{size.width}; less is needed with {', or with '.join(changes)}"
        ) from None
