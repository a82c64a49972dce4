"""Rows by what people wear and carry alone, and what a filter by attributes leaves out because it cannot be seen."""

from __future__ import annotations

from dataclasses import dataclass, replace

from unveil.attributes.wanted import sureness
from unveil.errors import DataError
from unveil.gallery.records import Filter, Item
from unveil.gallery.store.protocol import Store


@dataclass(frozen=True)
class Sighting:
    """A row, and how sure the least sure of the attributes is that were asked for, in [0, 1]; 0: not seen."""

    item: Item
    sureness: float


@dataclass(frozen=True)
class AttributeListing:
    """Rows by attributes, the surest first, then the earliest.

    Args:
        sightings: the rows, at most as many as were asked for.
        candidates: how many rows there are.
        unseen: how many were left out because an attribute cannot be seen on them.
        notes: sentences that a user must see.
    """

    sightings: tuple[Sighting, ...]
    candidates: int
    unseen: int
    notes: tuple[str, ...]


def list_by_attributes(store: Store, name: str, *, where: Filter, top: int) -> AttributeListing:
    """Return the rows of a gallery that a filter with attributes lets through.

    Args:
        store: where the gallery is.
        name: of the gallery.
        where: which rows; it asks for one attribute at least.
        top: how many rows at most.

    Raises:
        DataError: there is no such gallery, or no attribute is asked for.
    """
    if not where.attributes:
        raise DataError("ask for an attribute at least, for example upper-colour=blue; or search with an image")
    items = store.surest(name, where, limit=top)
    candidates = len(store.ids(name, where))
    unseen = count_unseen(store, name, where=where, candidates=candidates)
    sightings = tuple(Sighting(item, sureness(where.wanted, item.attributes)) for item in items)
    return AttributeListing(sightings, candidates, unseen, unseen_notes(store, name, where=where, unseen=unseen))


def count_unseen(store: Store, name: str, *, where: Filter, candidates: int) -> int:
    """Return how many rows a filter leaves out because an attribute that it asks for cannot be seen on them."""
    if not where.attributes or where.include_unseen:
        return 0
    return len(store.ids(name, replace(where, include_unseen=True))) - candidates


def unseen_notes(store: Store, name: str, *, where: Filter, unseen: int) -> tuple[str, ...]:
    """Return in words what `count_unseen` counts, and whether some rows have no attributes yet."""
    if not where.attributes:
        return ()
    notes = []
    if unseen:
        rows = "1 row was" if unseen == 1 else f"{unseen} rows were"
        notes.append(
            f"{rows} left out because what is asked for cannot be seen there; --include-unseen, in a request "
            "include_unseen, takes them in."
        )
    if missing := store.count_without_attributes(name):
        notes.append(f"{missing} rows of this gallery have no attributes yet: `unveil gallery attributes {name}`.")
    return tuple(notes)
