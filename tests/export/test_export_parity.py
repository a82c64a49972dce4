from __future__ import annotations

import numpy as np
import pytest

from unveil.errors import CheckpointError
from unveil.export.parity import difference
from unveil.records import Embedding


def test_difference_forgives_what_nobody_compares():
    vectors = np.ones((1, 2, 3), np.float32)
    shown, hidden = np.array([[1, 0]], np.float32), np.array([[1, 1]], np.float32)
    other = vectors.copy()
    other[0, 1] = 9
    names = ("a", "b")
    assert difference(Embedding(vectors, shown, names), Embedding(other, shown, names)).largest == 0
    assert difference(Embedding(vectors, hidden, names), Embedding(other, hidden, names)).vectors == pytest.approx(8)
    assert difference(Embedding(vectors, shown, names), Embedding(vectors, hidden, names)).visibility == 1
    other[0, 0, 0] = np.nan
    with pytest.raises(CheckpointError, match="not finite"):
        difference(Embedding(vectors, shown, names), Embedding(other, shown, names))
    # A graph that hides what is wrong with the model does not agree with it.
    with pytest.raises(CheckpointError, match="the model gives numbers that are not finite"):
        difference(Embedding(other, shown, names), Embedding(vectors, shown, names))
