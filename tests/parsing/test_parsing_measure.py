"""Intersection over union by hand."""

import numpy as np
import pytest

from unveil.parsing.measure import class_iou, confusion


def test_iou_of_a_case_counted_by_hand():
    truth = np.array([[0, 0, 1, 1], [0, 1, 1, 2]], np.uint8)
    found = np.array([[0, 1, 1, 1], [0, 0, 1, 3]], np.uint8)
    matrix = confusion(truth, found, labels=5)
    assert matrix[0].tolist() == [2, 1, 0, 0, 0] and matrix[1].tolist() == [1, 3, 0, 0, 0] and matrix.sum() == 8
    # Label 3 is found but never true, and 4 is neither: both are left out.
    np.testing.assert_allclose(class_iou(matrix), [2 / 4, 3 / 5, 0, np.nan, np.nan])


def test_maps_that_cannot_be_compared():
    with pytest.raises(ValueError, match="one shape"):
        confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), labels=2)
    with pytest.raises(ValueError, match="below 2, got 4"):
        confusion(np.zeros(3, np.uint8), np.array([0, 4, 1], np.uint8), labels=2)
