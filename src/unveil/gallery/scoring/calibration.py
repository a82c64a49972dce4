"""From distances to probabilities, and to "no match": fitted on labelled pairs, judged on people held out.

Isotonic regression (Zadrozny and Elkan, KDD 2002) or a logistic curve (Platt, 1999, with his smoothed targets).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from unveil.errors import DataError, MissingExtraError
from unveil.gallery.records import GalleryInfo, Mode

FORMAT = 1
FOLDS = 5
BINS = 10
MIN_PAIRS = 40
MIN_OF_EACH = 10
FALSE_ALARMS = 0.05
CURVE = 20
CERTAIN = 1.645  # standard errors that a gain over the constant must have: one in twenty would reach it by chance
EVEN = 0.5  # a hit that is more likely somebody else is no match, however rarely a search for nobody finds one
IDENTICAL = 1e-3  # of the median distance: nearer are only two copies of one picture, whose vectors differ by rounding
Method = Literal["auto", "isotonic", "logistic"]
OfWhat = Literal["searches", "pairs"]


class CalibrationRefusedError(DataError):
    """A fitted calibration is no better than a constant: the distances of these pairs tell nothing."""


class Bin(NamedTuple):
    """A bin of a reliability diagram: mean probability, share of pairs of one person, and number of pairs."""

    promised: float
    true: float
    pairs: int


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


@dataclass(frozen=True)
class Check:
    """How good the probabilities are on people that were held out.

    Args:
        error: expected calibration error: mean difference between promised and true share of the same person, over
            bins of equally many pairs.
        brier: mean squared error of the probability.
        constant: the Brier score of always answering the share of same pairs.
        curve: (coverage, risk): when only the share "coverage" of pairs with the surest answers is answered, this share
            of the answers (same person or not) is wrong.
        reliability: the bins of the error, ascending; empty where an older version did not keep them.
    """

    error: float
    brier: float
    constant: float
    curve: tuple[tuple[float, float], ...]
    reliability: tuple[Bin, ...] = ()

    @property
    def drop(self) -> tuple[Bin, Bin] | None:
        """Two bins that are the wrong way round, the farthest apart; ``None`` when reliability rises throughout."""
        wrong = [(a, b) for a, b in combinations(self.reliability, 2) if b.true < a.true and b.promised > a.promised]
        return max(wrong, key=lambda pair: pair[0].true - pair[1].true, default=None)


@dataclass(frozen=True)
class Calibration:
    """A fitted curve and a threshold, of one mode.

    Args:
        kind: "isotonic" or "logistic".
        x: isotonic: distances, ascending; logistic: slope and offset.
        y: isotonic: the probability at each of ``x``; logistic: empty.
        threshold: the nearest hit is a match when its distance is at most this.
        false_alarms: the rate that the threshold was chosen for.
        of: what that is a rate of: searches for people who are not there, or pairs of two people.
        pairs: how many pairs it was fitted on.
        same: how many of them show one person.
        check: how good it is.
        source: where the pairs come from.
        identical: distance up to which two crops are the same picture.
    """

    kind: Literal["isotonic", "logistic"]
    x: tuple[float, ...]
    y: tuple[float, ...]
    threshold: float
    false_alarms: float
    of: OfWhat
    pairs: int
    same: int
    check: Check
    source: str
    identical: float = 0.0

    def probability(self, distance: float) -> float:
        """Return the probability that a pair at this distance is one person; of one picture twice, as good as 1."""
        fitted = float(_apply(self.kind, self.x, self.y, np.array([distance]))[0])
        return max(fitted, _surest(self.pairs)) if distance <= self.identical else fitted

    def about(self) -> str:
        """Return what a reader must know of the probabilities, in a sentence."""
        what = "searches for people who are not here" if self.of == "searches" else "pairs of two people"
        told = (
            f"Calibrated on {self.pairs:,} pairs ({self.source}), expected calibration error {self.check.error:.3f} on "
            f"people held out; the threshold lets at most {self.false_alarms:.0%} of {what} through."
        )
        if drop := self.check.drop:
            low, high = drop
            told += (
                f" Reliability is not monotone: of pairs promised {low.promised:.0%} {low.true:.0%} were one person, "
                f"of pairs promised {high.promised:.0%} {high.true:.0%}."
            )
        return told


def calibrate(pairs: Pairs, method: Method = "auto", false_alarms: float = FALSE_ALARMS, seed: int = 0) -> Calibration:
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
    held_out = {kind: _held_out(kind, distances, same, folds) for kind in kinds}
    checks = {kind: _check(held_out[kind], same) for kind in kinds}
    kind = min(kinds, key=lambda k: checks[k].brier)
    gain, error = _gain(held_out[kind], same, pairs.groups)
    if gain <= CERTAIN * error:
        raise CalibrationRefusedError(
            f"the calibration is refused: on people held out its Brier score is {checks[kind].brier:.4f}, and that of "
            f"always answering {same.mean():.0%} is {checks[kind].constant:.4f} (a gain of {gain:.4f} ± {error:.4f}). "
            f"The distances of these {len(same):,} pairs ({pairs.source}) do not tell who is one person: label more "
            "people, or use a better model"
        )
    x, y = _fit(kind, distances, same)
    others = distances[~same] if pairs.impostors is None else np.asarray(pairs.impostors, np.float64)
    identical = IDENTICAL * float(np.median(distances))
    threshold = min(_threshold(others, false_alarms), max(_even(kind, x, y), identical))
    return Calibration(
        kind, x, y, threshold, false_alarms, "pairs" if pairs.impostors is None else "searches", len(same), counts[0],
        checks[kind], pairs.source, identical,
    )  # fmt: skip


def stored(info: GalleryInfo, mode: Mode, calibration: Calibration) -> dict[str, Any]:
    """Return what the store keeps: this calibration beside those of other modes, bound to the gallery's model."""
    before = info.calibration if info.calibration and _is_of(info) else {}
    modes = {**before.get("modes", {}), mode: asdict(calibration)}
    return {"format": FORMAT, "fingerprint": info.space.fingerprint, "modes": modes}


def of(info: GalleryInfo, mode: Mode) -> Calibration | None:
    """Return the calibration of a gallery in a mode; ``None`` when there is none for its model.

    Raises:
        DataError: it was written by a newer version, or is damaged.
    """
    if not info.calibration or not _is_of(info):
        return None
    found = info.calibration.get("modes", {}).get(mode)
    if found is None:
        return None
    try:
        check = found["check"]
        bins = tuple(Bin(*row) for row in check.get("reliability", ()))
        check = Check(**{**check, "curve": tuple(map(tuple, check["curve"])), "reliability": bins})
        return Calibration(**{**found, "x": tuple(found["x"]), "y": tuple(found["y"]), "check": check})
    except (KeyError, TypeError, ValueError) as e:
        raise DataError(f"the calibration of gallery {info.name!r} is damaged ({e}): calibrate again") from None


def out_of_date(info: GalleryInfo) -> bool:
    """Return whether a gallery has a calibration that was fitted on the distances of another model than its own."""
    return bool(info.calibration) and not _is_of(info)


def _is_of(info: GalleryInfo) -> bool:
    head: Mapping[str, Any] = info.calibration or {}
    if head.get("format", 0) > FORMAT:
        raise DataError(f"the calibration of gallery {info.name!r} was written by a newer unveil: calibrate again")
    return head.get("fingerprint") == info.space.fingerprint


def _fit(kind: str, distances: np.ndarray, same: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        from scipy import optimize
    except ImportError:
        raise MissingExtraError("calibration", "gallery") from None
    if kind == "logistic":
        # Platt's targets keep the curve finite where the two kinds do not overlap.
        ones, zeros = same.sum(), (~same).sum()
        targets = np.where(same, (ones + 1) / (ones + 2), 1 / (zeros + 2))
        centre, spread = distances.mean(), max(distances.std(), 1e-12)
        z = (distances - centre) / spread

        def loss(p: np.ndarray) -> tuple[float, np.ndarray]:
            a = p[0] * z + p[1]
            residual = _sigmoid(a) - targets
            return float((np.logaddexp(0, a) - targets * a).mean()), np.array([(residual * z).mean(), residual.mean()])

        slope, offset = optimize.minimize(loss, np.array([-1.0, 0.0]), jac=True, method="BFGS").x
        # A model whose far pairs are the same person would turn the order around.
        slope = min(float(slope), 0.0)
        return (slope / spread, float(offset) - slope * centre / spread), ()
    order = np.argsort(distances, kind="stable")
    levels, starts = np.unique(distances[order], return_index=True)
    counts = np.diff(np.append(starts, len(order)))
    shares = np.add.reduceat(same[order].astype(np.float64), starts) / counts
    y = optimize.isotonic_regression(shares, weights=counts, increasing=False).x
    # No finite number of pairs proves that something is certain.
    y = np.clip(y, 1 - _surest(len(same)), _surest(len(same)))
    ends = np.flatnonzero(np.diff(y) != 0)
    keep = np.unique(np.concatenate([[0], ends, ends + 1, [len(y) - 1]]))
    return tuple(levels[keep].tolist()), tuple(y[keep].tolist())


def _apply(kind: str, x: tuple[float, ...], y: tuple[float, ...], distances: np.ndarray) -> np.ndarray:
    if kind == "logistic":
        return _sigmoid(x[0] * distances + x[1])
    return np.asarray(np.interp(distances, x, y))


def _surest(pairs: int) -> float:
    """Return the largest probability that so many pairs can support (Laplace's rule of succession)."""
    return 1 - 1 / (pairs + 2)


def _even(kind: str, x: tuple[float, ...], y: tuple[float, ...]) -> float:
    """Return the largest distance at which one person is at least as likely as two; -inf when there is none."""
    if kind == "logistic":
        slope, offset = x
        if slope == 0:
            return np.inf if offset >= 0 else -np.inf
        return -offset / slope
    at = np.flatnonzero(np.asarray(y) >= EVEN)
    if not len(at) or at[-1] == len(y) - 1:
        return np.inf if len(at) else -np.inf
    last = at[-1]
    return float(x[last] + (y[last] - EVEN) / (y[last] - y[last + 1]) * (x[last + 1] - x[last]))


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(a / 2)))


def _folds(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each pair; a group is in one fold, and where there are few groups, so are folds."""
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    if len(names) < 2:
        return np.arange(len(codes)) % FOLDS
    return np.random.default_rng(seed).permutation(len(names))[codes] % min(FOLDS, len(names))


def _held_out(kind: str, distances: np.ndarray, same: np.ndarray, folds: np.ndarray) -> np.ndarray:
    out = np.full(len(same), np.nan)
    for fold in np.unique(folds):
        inside = folds == fold
        if len(np.unique(same[~inside])) == 2:
            out[inside] = _apply(kind, *_fit(kind, distances[~inside], same[~inside]), distances[inside])
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


def _gain(probability: np.ndarray, same: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
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
