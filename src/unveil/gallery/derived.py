"""Models that were adapted to rows of a gallery, and what deletion of these rows means for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # help of the command line imports this, and imports nothing heavy
    from unveil.gallery.records import DerivedModel


def touched(before: Sequence[DerivedModel], after: Sequence[DerivedModel]) -> list[DerivedModel]:
    """Return the models that learnt from rows which were removed between two looks at a gallery."""
    removed = {model.fingerprint: model.removed for model in before}
    return [model for model in after if model.removed > removed.get(model.fingerprint, 0)]
