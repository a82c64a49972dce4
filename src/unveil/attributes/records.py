"""What is told of a person's looks: for each attribute its values, how sure each is, and how much of the part shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from unveil.attributes.colours import COLOURS

MAIN = 0.3  # share of a part from which its second colour is named
HALF = 0.5  # from here on yes, long or bare is what is said
# The values that each attribute has; colours are shares of a part, the others exclude each other.
VALUES: dict[str, tuple[str, ...]] = {
    "upper-colour": COLOURS,
    "lower-colour": COLOURS,
    "hair": ("dark", "light"),
    "jacket": ("yes", "no"),
    "sleeves": ("long", "short"),
    "skirt": ("yes", "no"),
    "legs": ("covered", "bare"),
    "bag": ("yes", "no"),
    "hat": ("yes", "no"),
}
NAMES = tuple(VALUES)
# Told well enough to be asked for. Jacket and skirt are on rendered people (benchmarks/results/attributes.csv), but an
# older parser saw a skirt on one in five of 48 real crops where nobody wears one.
FILTERS = tuple(name for name in NAMES if name not in ("jacket", "skirt"))
COLOUR_NAMES = ("upper-colour", "lower-colour")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of one crop or tracklet.

    Args:
        values: how sure each value is, or which share of the part it covers, in [0, 1]; what is absent is 0.
        shown: share of the part that shows, in [0, 1].
    """

    values: Mapping[str, float]
    shown: float

    @property
    def main(self) -> tuple[str, ...]:
        """The value that is the surest; of colours the second too where it covers a good part."""
        order = sorted(self.values, key=lambda name: -self.values[name])
        return tuple(
            name for n, name in enumerate(order[:2]) if n == 0 or (name in COLOURS and self.values[name] >= MAIN)
        )


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a crop or tracklet; ``None`` is what cannot be seen on it."""

    upper_colour: Attribute | None = None
    lower_colour: Attribute | None = None
    hair: Attribute | None = None
    jacket: Attribute | None = None
    sleeves: Attribute | None = None
    skirt: Attribute | None = None
    legs: Attribute | None = None
    bag: Attribute | None = None
    hat: Attribute | None = None

    def get(self, name: str) -> Attribute | None:
        """Return an attribute by one of `NAMES`."""
        found: Attribute | None = getattr(self, name.replace("-", "_"))
        return found

    @staticmethod
    def of(seen: Mapping[str, Attribute]) -> Attributes:
        """Return the record of attributes that were seen, by `NAMES`."""
        return Attributes(**{name.replace("-", "_"): attribute for name, attribute in seen.items()})

    @property
    def seen(self) -> dict[str, Attribute]:
        """The attributes that were seen, by `NAMES`."""
        return {name: attribute for name in NAMES if (attribute := self.get(name)) is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, rounded."""
        return {
            name: {"shown": round(one.shown, 3), "values": {k: round(v, 3) for k, v in one.values.items() if v >= 5e-4}}
            for name, one in self.seen.items()
        }

    @staticmethod
    def from_dict(told: Mapping[str, Any]) -> Attributes:
        """Return what `to_dict` wrote; attributes and values of another version are left out."""
        return Attributes.of(
            {
                name: Attribute(
                    {k: float(v) for k, v in one["values"].items() if k in VALUES[name]}, float(one["shown"])
                )
                for name, one in told.items()
                if name in VALUES
            }
        )


assert tuple(field.name.replace("_", "-") for field in fields(Attributes)) == NAMES


def vote(crops: list[tuple[Attributes, float]]) -> Attributes:
    """Return the attributes of a tracklet: the mean of its crops, each weighted by how much of the part it shows.

    Args:
        crops: the attributes of each crop, and the quality score of the crop, at least 0.
    """
    seen = {}
    for name in NAMES:
        told = [(one, max(quality, 1e-3) * one.shown) for crop, quality in crops if (one := crop.get(name)) is not None]
        total = math.fsum(weight for _, weight in told)
        if total > 0:
            means = {v: math.fsum(one.values.get(v, 0.0) * w for one, w in told) / total for v in VALUES[name]}
            seen[name] = Attribute({v: mean for v, mean in means.items() if mean}, max(one.shown for one, _ in told))
    return Attributes.of(seen)
