"""What a checkpoint of another toolkit becomes, and renaming of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """A network of this package that a checkpoint becomes.

    Args:
        recipe: keys of `unveil.recipe.Recipe` and their values, as its ``key=value`` overrides.
        tensors: by the names of the method's state dict.
        left_out: what only training needs: keys of the file.
    """

    recipe: dict[str, Any]
    tensors: dict[str, Tensor]
    left_out: tuple[str, ...] = field(default=())


def without(tensors: Tensors, *patterns: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors whose key begins with none of the patterns, and the keys of the others."""
    left = tuple(key for key in tensors if any(re.match(pattern, key) for pattern in patterns))
    return {key: value for key, value in tensors.items() if key not in left}, left


def renamed(tensors: Tensors, *pairs: tuple[str, str]) -> dict[str, Tensor]:
    """Return the tensors with the first pattern that a key begins with replaced."""
    found = {}
    for key, value in tensors.items():
        for pattern, name in pairs:
            new, count = re.subn(rf"\A{pattern}", name, key, count=1)
            if count:
                key = new
                break
        found[key] = value
    return found
