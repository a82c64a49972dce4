"""Rows of a gallery as probable people: what is kept of them, and what was said of them by hand. Never certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unveil.errors import DataError
from unveil.gallery.records import Mode

MAX_TOGETHER = 2_000  # rows of one probable person that are split or merged by hand at once


class GroupChangedError(DataError):
    """Groups were changed by somebody else since they were read; nothing was changed."""


@dataclass(frozen=True)
class Grouping:
    """How the rows of a gallery were grouped.

    Args:
        made: when, seconds since the epoch.
        fingerprint: of the model whose distances counted.
        mode: whether clothes may have changed.
        threshold: mean distance up to which groups were joined.
        calibrated: whether the threshold is that of the gallery's calibration; else somebody chose it.
        source: where the threshold comes from, in words.
        removed: rows that were removed from the gallery since, and so from their groups.
    """

    made: float
    fingerprint: str
    mode: Mode
    threshold: float
    calibrated: bool
    source: str
    removed: int = 0


@dataclass(frozen=True)
class GroupingState:
    """A grouping and what became of it.

    Args:
        grouping: how the rows were grouped.
        people: probable people.
        rows: rows that are grouped.
        ungrouped: rows that came later, and are in no group yet.
        other_model: the gallery was switched to another model since; the groups are of the one before.
        recalibrated: the gallery's threshold is another one now.
    """

    grouping: Grouping
    people: int
    rows: int
    ungrouped: int
    other_model: bool = False
    recalibrated: bool = False


@dataclass(frozen=True)
class ProbablePerson:
    """Rows that probably show one person.

    Args:
        number: of the group; numbers stay where most rows of a group stay together.
        rows: how many.
        cameras: labels of the cameras that saw them, sorted.
        start: first timestamp, seconds; ``None`` where no row has a time.
        end: last timestamp.
        images: numbers of at most four rows, the best images first.
        by_hand: rows of which somebody said something by hand.
    """

    number: int
    rows: int
    cameras: tuple[str, ...]
    start: float | None
    end: float | None
    images: tuple[int, ...]
    by_hand: int = 0


@dataclass(frozen=True)
class GroupedRow:
    """A row of a group, and its mean distance from the others when they were grouped; ``None`` where not known."""

    item: int
    distance: float | None = None


@dataclass(frozen=True)
class ByHand:
    """What was said of groups by hand.

    Args:
        version: grows with every word.
        labels: row -> label; rows of one label are one person.
        apart: pairs of labels that are two people.
    """

    version: int = 0
    labels: Mapping[int, int] = field(default_factory=dict)
    apart: frozenset[tuple[int, int]] = frozenset()
