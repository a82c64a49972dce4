"""Fitting a calibration on labelled pairs, and checking it on people held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unveil.errors import DataError
from unveil.gallery.scoring.calibration import Bin, Calibration, Check
from unveil.gallery.scoring.curves import apply_curve, even_distance, fit_curve

FOLDS = 5
BINS = 10
MIN_PAIRS = 40
MIN_OF_EACH = 10
FALSE_ALARMS = 0.05
CURVE = 20
CERTAIN = 1.645  # standard errors that a gain over the constant must have: one in twenty would reach it by chance
IDENTICAL = 1e-3  # of the median distance: nearer are only two copies of one image, whose vectors differ by rounding
Method = Literal["auto", "isotonic", "logistic"]


class CalibrationRefusedError(DataError):
    """A fitted calibration is no better than a constant: the distances of these pairs tell nothing."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labelled pairs of one mode.

    Args:
        distances: ``(N,)``.
        same: ``(N,)`` bool: whether both are one person.
        groups: ``(N,)`` whoever was searched for; a group is never on both sides of the held-out check.
        impostors: distance of the nearest row of somebody else, one for each search ``(S,)``: what a search for a
            person who is not there would find first. ``None`` where only pairs are known.
        source: where they come from, in words.
    """

    distances: np.ndarray
    same: np.ndarray
    groups: np.ndarray
    impostors: np.ndarray | None = None
    source: str = "pairs"


def calibrate(
    pairs: Pairs, method: Method = "auto", *, false_alarms: float = FALSE_ALARMS, seed: int = 0
) -> Calibration:
    """Fit a calibration.

    Args:
        pairs: labelled pairs of one mode.
        method: "auto" takes the one with the smaller Brier score on people held out.
        false_alarms: rate that the threshold for "no match" is chosen for, in (0, 1).
        seed: of the folds.

    Raises:
        MissingExtraError: scipy is not installed.
        DataError: too few pairs, or all of one kind.
        CalibrationRefusedError: on people held out the probabilities are no better than a constant.
    """
    distances, same = np.asarray(pairs.distances, np.float64), np.asarray(pairs.same, bool)
    if not 0 < false_alarms < 1:
        raise DataError(f"the rate of false alarms must be between 0 and 1, got {false_alarms:g}")
    if not np.isfinite(distances).all():
        raise DataError("a distance of the pairs is not finite")
    counts = int(same.sum()), int((~same).sum())
    if len(same) < MIN_PAIRS or min(counts) < MIN_OF_EACH:
        raise DataError(
            f"calibration needs at least {MIN_PAIRS} labelled pairs, {MIN_OF_EACH} of one person and "
            f"{MIN_OF_EACH} of two; there are {counts[0]} and {counts[1]} ({pairs.source})"
        )
    folds = _folds(pairs.groups, seed)
    kinds: tuple[Literal["isotonic", "logistic"], ...] = ("logistic", "isotonic") if method == "auto" else (method,)
    held_out = {kind: _held_out(kind, distances, same=same, folds=folds) for kind in kinds}
    checks = {kind: _check(held_out[kind], same) for kind in kinds}
    kind = min(kinds, key=lambda k: checks[k].brier)
    gain, error = _gain(held_out[kind], same, groups=pairs.groups)
    if gain <= CERTAIN * error:
        raise CalibrationRefusedError(
            f"the calibration is refused: on people held out its Brier score is {checks[kind].brier:.4f}, and that of "
            f"always answering {same.mean():.0%} is {checks[kind].constant:.4f} (a gain of {gain:.4f} ± {error:.4f}). "
            f"The distances of these {len(same):,} pairs ({pairs.source}) do not tell who is one person: label more "
            "people, or use a better model"
        )
    x, y = fit_curve(kind, distances, same=same)
    others = distances[~same] if pairs.impostors is None else np.asarray(pairs.impostors, np.float64)
    identical = IDENTICAL * float(np.median(distances))
    threshold = min(_threshold(others, false_alarms), max(even_distance(kind, x, y=y), identical))
    return Calibration(
        kind, x, y, threshold, false_alarms, "pairs" if pairs.impostors is None else "searches", len(same), counts[0],
        checks[kind], pairs.source, identical,
    )  # fmt: skip


def _folds(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each pair; a group is in one fold, and where there are few groups, so are folds."""
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(names) < 2:
        return np.arange(len(codes)) % FOLDS
    return np.random.default_rng(seed).permutation(len(names))[codes] % min(FOLDS, len(names))


def _held_out(kind: str, distances: np.ndarray, *, same: np.ndarray, folds: np.ndarray) -> np.ndarray:
    out = np.full(len(same), np.nan)
    for fold in np.unique(folds):
        inside = folds == fold
        if len(np.unique(same[~inside])) == 2:
            x, y = fit_curve(kind, distances[~inside], same=same[~inside])
            out[inside] = apply_curve(kind, x, y=y, distances=distances[inside])
    if np.isnan(out).any():
        raise DataError(
            "the labelled pairs are about too few people: label pairs of others, so that some are left to check on"
        )
    return out


def _check(probability: np.ndarray, same: np.ndarray) -> Check:
    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, BINS)
    reliability = tuple(Bin(float(probability[b].mean()), float(same[b].mean()), len(b)) for b in bins if len(b))
    error = sum(b.pairs * abs(b.promised - b.true) for b in reliability) / len(same)
    brier = float(((probability - same) ** 2).mean())
    sure = np.argsort(-np.abs(probability - 0.5), kind="stable")
    wrong = np.cumsum((probability[sure] >= 0.5) != same[sure])
    counts = np.unique(np.ceil(np.linspace(1 / CURVE, 1, CURVE) * len(same)).astype(int))
    curve = tuple((float(n / len(same)), float(wrong[n - 1] / n)) for n in counts)
    return Check(float(error), brier, float(same.mean() * (1 - same.mean())), curve, reliability)


def _gain(probability: np.ndarray, same: np.ndarray, *, groups: np.ndarray) -> tuple[float, float]:
    """Return by how much the Brier score is better than the constant's, and the standard error of that over groups."""
    gain = (same.mean() - same) ** 2 - (probability - same) ** 2
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(names) < 2:
        codes = np.arange(len(gain))
    sums = np.bincount(codes, gain - gain.mean())
    return float(gain.mean()), float(np.sqrt((sums**2).sum()) / len(gain))


def _threshold(others: np.ndarray, rate: float) -> float:
    """Return the largest distance that lets at most this share of the impostors through."""
    ordered = np.sort(others)
    let_through = int(np.floor(rate * len(ordered)))
    return float(np.nextafter(ordered[let_through], -np.inf)) if let_through < len(ordered) else float(ordered[-1])
