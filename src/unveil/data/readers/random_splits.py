"""Seeded draws for the small benchmarks, which are halved at random ten times and averaged."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from unveil.data.readers.viper import SPLITS

SplitNumber = Annotated[int, Field(ge=0, lt=SPLITS)]


def draw(names: Iterable[str], count: int, *, split: int, what: str) -> list[str]:
    """Return ``count`` of one person's files or sequences, the same for the same split on every machine.

    Args:
        names: what to draw from, in any order.
        count: how many.
        split: number of the split.
        what: dataset and person, so that two people are not drawn alike.
    """
    return random.Random(f"{what}/{split}").sample(sorted(names), count)
