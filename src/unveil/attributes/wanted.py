"""Attributes that rows are asked for: ``upper-colour=blue``, ``bag=yes``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unveil.attributes.colours import NEAR
from unveil.attributes.records import COLOUR_NAMES, FILTERS, HALF, VALUES, Attributes
from unveil.errors import DataError, nearest

MIN_COLOUR_SHARE = 0.4  # of a part that the colours asked for, with those near them, must cover


@dataclass(frozen=True)
class Wanted:
    """One attribute that is asked for.

    Args:
        name: one of `FILTERS`.
        values: any of these is right.
        accepted: these, and colours that are taken for them.
        least: how much of the part they must cover, or how sure they must be.
    """

    name: str
    values: tuple[str, ...]
    accepted: tuple[str, ...]
    least: float

    def sureness(self, attributes: Attributes | None) -> float | None:
        """Return how sure it is of a row, in [0, 1]; ``None`` where it cannot be seen."""
        found = None if attributes is None else attributes.get(self.name)
        return None if found is None else min(1.0, sum(found.values.get(value, 0.0) for value in self.accepted))


def wanted_of(texts: Iterable[str]) -> tuple[Wanted, ...]:
    """Return what is asked for, one entry an attribute, in the order of `FILTERS`.

    Args:
        texts: ``NAME=VALUE``; several values of one name are alternatives.

    Raises:
        DataError: an unknown name or value.
    """
    asked: dict[str, list[str]] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in FILTERS:
            raise DataError(f"no attribute {name!r}{nearest(name, FILTERS)}; there are: {', '.join(FILTERS)}")
        if value not in VALUES[name]:
            known = VALUES[name]
            raise DataError(f"{name} is not {value!r}{nearest(value, known)}; it is one of: {', '.join(known)}")
        asked.setdefault(name, []).append(value)
    return tuple(_wanted(name, tuple(dict.fromkeys(asked[name]))) for name in FILTERS if name in asked)


def _wanted(name: str, values: tuple[str, ...]) -> Wanted:
    near = [other for value in values for other in (value, *NEAR.get(value, ()))]
    return Wanted(name, values, tuple(dict.fromkeys(near)), MIN_COLOUR_SHARE if name in COLOUR_NAMES else HALF)


def sureness(wanted: Iterable[Wanted], attributes: Attributes | None) -> float:
    """Return how sure the least sure of several attributes is of a row, in [0, 1]; what cannot be seen counts 0."""
    return min((one.sureness(attributes) or 0.0 for one in wanted), default=0.0)
