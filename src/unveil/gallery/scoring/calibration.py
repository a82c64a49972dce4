"""The calibration of a gallery, from distances to probabilities and to "no match", and how the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np

from unveil.errors import DataError
from unveil.gallery.records import GalleryInfo, Mode
from unveil.gallery.scoring.curves import apply_curve, surest

FORMAT = 1
OfWhat = Literal["searches", "pairs"]


class Bin(NamedTuple):
    """A bin of a reliability diagram: mean probability, share of pairs of one person, and number of pairs."""

    promised: float
    true: float
    pairs: int


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
        identical: distance up to which two crops are the same image.
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
        """Return the probability that a pair at this distance is one person; of one image twice, as good as 1."""
        fitted = float(apply_curve(self.kind, self.x, y=self.y, distances=np.array([distance]))[0])
        return max(fitted, surest(self.pairs)) if distance <= self.identical else fitted

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


def stored(info: GalleryInfo, mode: Mode, *, calibration: Calibration) -> dict[str, Any]:
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
