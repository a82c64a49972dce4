"""Is the adapted model better? Tracklets that it did not learn from answer: one half has to find the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unveil.adaptation.crops import UnlabelledCrops
from unveil.adaptation.groups.links import seen_together
from unveil.adaptation.groups.pseudo_labels import Links, mean_of_units
from unveil.errors import UnveilError
from unveil.evaluation.bootstrap import intervals
from unveil.evaluation.distances import distance_matrix
from unveil.records import Embedding

MIN_TRACKLETS = 10
MIN_PAIRS = 5  # confirmed, and as many rejected ones


class WorseModelError(UnveilError):
    """The adapted model finds less than the one before and was not written."""


@dataclass(frozen=True)
class Test:
    """Tracklets cut in half.

    Args:
        crops: numbers of the crops of all halves.
        halves: ``(len(crops),)`` number of the half: 2 t for the earlier of tracklet t, 2 t + 1 for the later.
        rivals: ``(T, T)`` bool: whether a tracklet is among those that another one's half is searched in.
        about: who the rivals are, in words.
    """

    crops: np.ndarray
    halves: np.ndarray
    rivals: np.ndarray
    about: str

    def __len__(self) -> int:
        return len(self.rivals)

    def answers(self, embedding: Embedding) -> tuple[np.ndarray, np.ndarray]:
        """Return for each tracklet whether its later half comes first, and one over its rank.

        Args:
            embedding: of ``crops``, in order, as numpy arrays.
        """
        units = mean_of_units(embedding, self.halves)
        distances = distance_matrix(units.select(slice(0, None, 2)), units.select(slice(1, None, 2)))
        own = np.diagonal(distances)[:, None]
        rivals = self.rivals & ~np.eye(len(self), dtype=bool)
        # Of equals the half of the tracks is taken to come first: a model that tells nobody apart is not right.
        before = ((distances < own) & rivals).sum(1) + 0.5 * ((distances == own) & rivals).sum(1)
        return (before < 0.5).astype(float), 1 / (1 + before)


def make_test(crops: UnlabelledCrops) -> Test | None:
    """Return the test that the tracklets of crops allow; None where there are fewer than `MIN_TRACKLETS` of two crops.

    Rivals are tracklets that were seen at the same time by the same camera, who are other people for certain; where
    most tracklets have none, all tracklets.
    """
    chosen: list[np.ndarray] = []
    halves: list[np.ndarray] = []
    units: list[int] = []
    for unit in np.unique(crops.units[crops.tracked]):
        own = np.flatnonzero(crops.units == unit)
        if len(own) < 2:
            continue
        ordered = own[np.argsort(crops.times[own], kind="stable")]
        half = 2 * len(units)
        units.append(int(unit))
        chosen.append(ordered)
        halves.append(np.where(np.arange(len(own)) < len(own) // 2, half, half + 1))
    if len(units) < MIN_TRACKLETS:
        return None
    number = {unit: i for i, unit in enumerate(units)}
    together = np.zeros((len(units), len(units)), bool)
    for a, b in seen_together(crops):
        if a in number and b in number:
            together[number[a], number[b]] = together[number[b], number[a]] = True
    certain = (together.sum(1) > 0).mean() > 0.5
    rivals = together if certain else np.ones_like(together)
    about = "tracklets seen at the same time by the same camera" if certain else "all other held-out tracklets"
    return Test(np.concatenate(chosen), np.concatenate(halves), rivals, about)


def compare(test: Test, before: Embedding, *, after: Embedding) -> dict[str, Any]:
    """Return Rank-1 and mean reciprocal rank before and after, in percent, and the interval of their difference."""
    figures: dict[str, Any] = {"tracklets": len(test), "among": test.about}
    first, second = test.answers(before), test.answers(after)
    for name, old, new in zip(("rank1", "mrr"), first, second, strict=True):
        figures[name] = _change(old, new)
    return figures


def compare_feedback(links: Links, before: Embedding, *, after: Embedding) -> dict[str, Any] | None:
    """Return how many rejected pairs are farther apart than a confirmed one, before and after, in percent.

    That is the area under the ROC curve; one half, 50 %, is chance.

    Args:
        links: confirmed (must) and rejected (cannot) pairs, as rows of the embeddings.
        before: of units, as numpy arrays.
        after: of the same units.

    Returns:
        ``None`` where there are fewer than `MIN_PAIRS` of a kind.
    """
    if min(len(links.must), len(links.cannot)) < MIN_PAIRS:
        return None
    shares = []
    for units in (before, after):
        distances = distance_matrix(units, units)
        confirmed, rejected = (distances[pairs[:, 0], pairs[:, 1]] for pairs in (links.must, links.cannot))
        farther = (rejected[None] > confirmed[:, None]) + 0.5 * (rejected[None] == confirmed[:, None])
        shares.append(farther.mean(axis=1))
    return {"confirmed": len(links.must), "rejected": len(links.cannot), "auc": _change(*shares)}


def is_worse(figures: dict[str, Any]) -> bool:
    """Whether the mean reciprocal rank fell; without tracklets to evaluate on, whether feedback is answered worse."""
    told = _telling(figures)
    return told is not None and told["after"] < told["before"]


def refuse_worse(figures: dict[str, Any], *, keep_worse: bool) -> None:
    """Raise WorseModelError where a model answers worse than before, unless it is wanted all the same."""
    if keep_worse or not is_worse(figures):
        return
    by = (
        f"{figures['tracklets']} tracklets: mean reciprocal rank" if "mrr" in figures
        else "feedback: area under the ROC curve"
    )  # fmt: skip
    told = _telling(figures) or {}
    raise WorseModelError(
        f"the adapted model is worse on what was held out ({by} {told.get('before')} before, {told.get('after')} "
        "after) and is not written; keep it all the same with --keep-worse"
    )


def _telling(figures: dict[str, Any]) -> dict[str, Any] | None:
    """Return the figure that decides."""
    return figures.get("mrr") or figures.get("feedback", {}).get("auc")


def _change(old: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    low, high = intervals(100 * (new - old))[0]
    return {
        "before": round(100 * float(old.mean()), 2),
        "after": round(100 * float(new.mean()), 2),
        "difference": [round(float(low), 2), round(float(high), 2)],
    }
