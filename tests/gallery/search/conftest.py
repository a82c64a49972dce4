"""A gallery to search in."""

from __future__ import annotations

import pytest
from stored import ROWS, SPACE, crops, embedding

from unveil.gallery.store.protocol import Store


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with the gallery "g" of ``ROWS`` crops."""
    store.create("g", SPACE)
    store.add("g", crops(range(ROWS)), embedding=embedding(ROWS))
    return store
