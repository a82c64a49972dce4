"""What a case package says of the model that a gallery was embedded with: the gallery's own words, and the card."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from unveil.errors import CheckpointError
from unveil.gallery.records import EmbeddingSpace
from unveil.models.card import Card, card_in_header
from unveil.models.foreign.reid_card import ReidCard, fingerprint, read_reid_card
from unveil.models.locate import locate


def model_words(space: EmbeddingSpace, card: Card | ReidCard | None) -> dict[str, Any]:
    """Return the embedding space of a gallery and the card of its model as JSON; null where the card is not here."""
    return {"space": asdict(space), "card": None if card is None else card.model_dump(mode="json")}


def find_card(space: EmbeddingSpace) -> Card | ReidCard | None:
    """Return the card of a gallery's model, where the model is on this machine and is the same."""
    for name in (space.source, space.model):
        if not name:
            continue
        try:
            found = locate(name)
            if found.kind == "external":
                external, model = read_reid_card(found.path)
                if fingerprint(external, model) == space.fingerprint:
                    return external
            elif found.kind == "trained":
                own = card_in_header(found.path)
                if own is not None and own.fingerprint == space.fingerprint:
                    return own
        except CheckpointError:
            continue
    return None
