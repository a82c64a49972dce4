"""Attributes in words: "blue top, black bottoms, bag"."""

from __future__ import annotations

from unveil.attributes.records import Attribute, Attributes

CERTAIN = 0.7  # how sure a thing is before it is said without being asked


def words(attributes: Attributes | None) -> str:
    """Return what can be said of a person's looks in English, "" for nothing."""
    if attributes is None:
        return ""
    said = []
    upper, lower = attributes.upper_colour, attributes.lower_colour
    if upper is not None:
        said.append(f"{_colours(upper)} top")
    if _says(attributes.sleeves, "short"):
        said.append("bare arms")
    if lower is not None:
        said.append(f"{_colours(lower)} bottoms")
    if _says(attributes.legs, "bare"):
        said.append("bare legs")
    said += [name for name in ("bag", "hat") if _says(attributes.get(name), "yes")]
    if attributes.hair is not None and not _says(attributes.hat, "yes"):
        said += [f"{value} hair" for value in ("dark", "light") if _says(attributes.hair, value)]
    return ", ".join(said)


def _colours(attribute: Attribute) -> str:
    return " and ".join(attribute.main)


def _says(attribute: Attribute | None, value: str) -> bool:
    return attribute is not None and attribute.values.get(value, 0.0) >= CERTAIN
