"""Comparing who passes with everybody on a list, and how many false alarms that has to be expected to raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from unveil.errors import DataError
from unveil.gallery.alert_records import MAX_ENTRIES, WatchEntry
from unveil.gallery.records import FIRST_DATE, GalleryInfo, Mode
from unveil.gallery.scoring import calibration
from unveil.gallery.scoring.calibration import Calibration
from unveil.gallery.scoring.ranking import rank
from unveil.records import Embedding

HOUR = 3600.0


class WatchList:
    """People who are looked for, and the distance up to which somebody who passes may be one of them.

    Args:
        entries: at least one, of one model.
        threshold: distance up to which an alert is raised.
        mode: whether the clothes are those of the images or may have changed.
        without_removed: gives entries without what was removed from their galleries since.

    Raises:
        DataError: there is no entry, or more than `MAX_ENTRIES`, or two of one name.
    """

    def __init__(
        self,
        entries: Sequence[WatchEntry],
        threshold: float,
        *,
        mode: Mode = "same",
        without_removed: Callable[[Sequence[WatchEntry]], Sequence[WatchEntry]] = lambda entries: entries,
    ) -> None:
        names = [entry.name for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if not 0 < len(entries) <= MAX_ENTRIES:
            raise DataError(f"a watch-list has 1 to {MAX_ENTRIES} entries, got {len(entries)}")
        if twice:
            raise DataError(f"two entries are called {twice[0]!r}: give each a name of its own")
        self.entries = tuple(entries)
        self.threshold = threshold
        self.mode: Mode = mode
        self._without_removed = without_removed
        self._crops = Embedding.concatenate([entry.embedding for entry in entries])
        self._groups = np.repeat(np.arange(len(entries)), [len(entry.embedding) for entry in entries])

    def still_there(self) -> Sequence[WatchEntry]:
        """Return the entries without what was removed from their galleries since."""
        return self._without_removed(self.entries)

    def of(self, entries: Sequence[WatchEntry]) -> WatchList:
        """Return the same list of other entries."""
        return WatchList(entries, self.threshold, mode=self.mode, without_removed=self._without_removed)

    def matches(self, seen: Embedding) -> list[list[tuple[int, float]]]:
        """Return for each person seen the entries within the threshold, nearest first, with their distances.

        Args:
            seen: ``(N, E, D)`` numpy embedding, one row a person.
        """
        places, distances = rank(self._crops, seen, top=len(seen), groups=self._groups, negatives=None, mode=self.mode)
        table = np.full((len(self.entries), len(seen)), np.inf)
        np.put_along_axis(table, places, distances, axis=1)
        found = []
        for column in table.T:
            near = np.flatnonzero(column <= self.threshold)
            found.append([(int(n), float(column[n])) for n in near[np.argsort(column[near], kind="stable")]])
        return found


@dataclass(frozen=True)
class Expected:
    """How many false alarms are to be expected.

    Args:
        of_pair: share of pairs of two people that are within the threshold.
        per_hundred: false alarms for each hundred people who pass and are not on the list.
        people_per_hour: people whom the gallery saw in an hour, where its times tell.
        per_hour: false alarms in such an hour.
    """

    of_pair: float
    per_hundred: float
    people_per_hour: float | None
    per_hour: float | None

    def __str__(self) -> str:
        told = f"about {self.per_hundred:.3g} false alarms for each 100 people who pass and are not on the list"
        if self.per_hour is None or self.people_per_hour is None:
            return told
        people = f"{self.people_per_hour:.3g} people an hour, as the gallery has them"
        return f"{told}; at {people}, {self.per_hour:.3g} an hour"


def expected_false_alarms(info: GalleryInfo, fitted: Calibration, *, entries: int) -> Expected:
    """Return how many false alarms a list raises, from the rate that the threshold was chosen for.

    A rate of searches for people who are not there, in a gallery of R rows, is one of pairs by 1 - (1 - rate)^(1/R).
    Each person who passes is compared with each entry.

    Args:
        info: of the gallery that was calibrated.
        fitted: its calibration.
        entries: of the list.
    """
    rows = max(1, info.tracklets or info.crops)
    rate = fitted.false_alarms
    pair = rate if fitted.of == "pairs" else 1 - (1 - rate) ** (1 / rows)
    hours = None
    if info.start is not None and info.end is not None and info.start >= FIRST_DATE and info.end > info.start:
        hours = (info.end - info.start) / HOUR
    people = None if hours is None else rows / hours
    hourly = None if people is None else people * entries * pair
    return Expected(pair, 100 * entries * pair, people, hourly)


def calibrated_threshold(info: GalleryInfo, mode: Mode) -> Calibration:
    """Return the calibration of a gallery, without which nobody knows how many false alarms there will be.

    Raises:
        DataError: there is none, or it is out of date.
    """
    fitted = calibration.of(info, mode)
    if fitted is None:
        what = "is out of date" if calibration.out_of_date(info) else f"is missing for the mode {mode!r}"
        raise DataError(
            f"the calibration of gallery {info.name!r} {what}: without it the number of false alarms is not known. "
            f"`unveil gallery calibrate {info.name}` makes one; --threshold DISTANCE watches without"
        )
    return fitted
