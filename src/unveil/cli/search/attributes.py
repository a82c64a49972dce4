"""Options that ask for what people wear and carry, and the listing by these alone."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from unveil.cli import help_panels

if TYPE_CHECKING:
    from unveil.cli.search.in_gallery import GallerySearch

Colour = StrEnum(
    "Colour",
    [
        "black",
        "grey",
        "white",
        "red",
        "orange",
        "brown",
        "beige",
        "yellow",
        "olive",
        "green",
        "blue",
        "navy",
        "purple",
        "pink",
    ],
)
YesNo = StrEnum("YesNo", ["yes", "no"])
Hair = StrEnum("Hair", ["dark", "light"])
Sleeves = StrEnum("Sleeves", ["long", "short"])
Legs = StrEnum("Legs", ["covered", "bare"])


def _option(flag: str, words: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(flag, help=words, rich_help_panel=help_panels.ATTRIBUTES)
    return option


UpperColours = Annotated[
    list[Colour] | None, _option("--upper-colour", "Of the upper clothes, or near it; any of several.")
]
LowerColours = Annotated[list[Colour] | None, _option("--lower-colour", "Of trousers or skirt, or near it.")]
HairOption = Annotated[Hair | None, _option("--hair", "Dark or light hair.")]
SleevesOption = Annotated[Sleeves | None, _option("--sleeves", "Lower arms covered or bare.")]
LegsOption = Annotated[Legs | None, _option("--legs", "Legs covered or bare.")]
BagOption = Annotated[YesNo | None, _option("--bag", "A bag or backpack is seen.")]
HatOption = Annotated[YesNo | None, _option("--hat", "Something is worn on the head.")]
Unseen = Annotated[bool, _option("--include-unseen", "Also rows on which what is asked for cannot be seen.")]


def asked_for(**given: list[Colour] | StrEnum | None) -> tuple[str, ...]:
    """Return options by the names of attributes as ``NAME=VALUE``, as filters take them."""
    texts = []
    for name, values in given.items():
        for value in values if isinstance(values, list) else [values] if values is not None else []:
            texts.append(f"{name.replace('_', '-')}={value}")
    return tuple(texts)


def list_rows(asked: GallerySearch, as_json: bool) -> int:
    """List rows by attributes alone, noted in the audit log before anything is shown; return the exit code."""
    from dataclasses import asdict

    from rich.console import Console

    from unveil.attributes.words import words
    from unveil.cli.gallery.stores import opened
    from unveil.cli.search.in_gallery import filter_of
    from unveil.cli.tables import Table
    from unveil.gallery.audit import user
    from unveil.gallery.output.listing import columns
    from unveil.gallery.output.timeline import time_text
    from unveil.gallery.search.by_attributes import list_by_attributes

    where = filter_of(asked)
    with opened(asked.store, asked.folder) as store:
        found = list_by_attributes(store, asked.gallery, where=where, top=asked.top)
        store.log(
            {
                "who": user(), "action": "search", "why": asked.why, "gallery": asked.gallery,
                "results": [sighting.item.id for sighting in found.sightings],
                "details": {"by": "attributes", "where": {k: v for k, v in asdict(where).items() if v}},
            }
        )  # fmt: skip
    if as_json:
        rows = [{"sureness": one.sureness, **columns(one.item)} for one in found.sightings]
        told = {"rows": rows, "candidates": found.candidates, "unseen": found.unseen, "notes": found.notes}
        typer.echo(json.dumps(told, indent=2))
        return 0
    drawn = Table("row", "sure", "camera", "time", "looks", title=f"{', '.join(where.attributes)} in {asked.gallery}")
    for one in found.sightings:
        place = (one.item.camera or "", time_text(one.item.time), words(one.item.attributes))
        drawn.add_row(str(one.item.id), f"{one.sureness:.0%}", *place)
    if found.sightings:
        Console().print(drawn)
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"{found.candidates} rows")
    return 0
