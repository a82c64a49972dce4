"""The published models that the catalogue knows, by name."""

from __future__ import annotations

from unveil.errors import CheckpointError, nearest
from unveil.models.catalogue import open_model_zoo, other_publishers
from unveil.models.catalogue.entry import KnownModel

KNOWN: dict[str, KnownModel] = {
    model.name: model for model in (*open_model_zoo.MODELS, *other_publishers.MODELS)
}  # fmt: skip


def find_known(name: str) -> KnownModel:
    """Return a known model by name.

    Raises:
        CheckpointError: there is none of that name.
    """
    if name not in KNOWN:
        raise CheckpointError(f"the catalogue knows no {name!r}{nearest(name, KNOWN)}; it knows {', '.join(KNOWN)}")
    return KNOWN[name]
