"""What of a watch-list was removed from its gallery since: nobody is looked for by a row that is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from unveil.gallery.alert_records import WatchEntry
from unveil.gallery.records import Filter
from unveil.gallery.store.protocol import Store


def without_removed(store: Store, entries: Sequence[WatchEntry]) -> list[WatchEntry]:
    """Return the entries without the crops of rows that are gone; of those with nothing left to compare, none."""
    names = {entry.gallery for entry in entries if entry.rows} & {info.name for info in store.galleries()}
    there: dict[str, set[int | None]] = {name: {None} for name in names}
    for name in names:
        asked = {row for entry in entries if entry.gallery == name for row in entry.rows if row is not None}
        there[name] |= set(store.ids(name, Filter(ids=tuple(asked))).tolist())
    left = []
    for entry in entries:
        kept = [n for n, row in enumerate(entry.rows) if row in there.get(entry.gallery, {None})]
        if len(kept) == len(entry.rows):
            left.append(entry)
            continue
        crops = entry.embedding.select(kept)
        if (crops.visibility > 0).any():
            left.append(replace(entry, embedding=crops, rows=tuple(entry.rows[n] for n in kept)))
    return left
