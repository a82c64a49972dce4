"""Search against a stable sort of everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unveil.evaluation import distances as distances_module
from unveil.evaluation import search as module
from unveil.evaluation.distances import block_slices, distance_matrix
from unveil.evaluation.search import nearest, search
from unveil.records import Embedding


def whole_numbers(seed: int, count: int) -> Embedding:
    """Few different vectors, so that many distances are equal."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 2, (count, 1, 3)).astype(np.float32)
    return Embedding(vectors, np.ones((count, 1), np.float32), metric="euclidean")


@given(st.integers(0, 1000), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_nearest_is_the_start_of_a_stable_sort(seed: int, top: int) -> None:
    distances = np.random.default_rng(seed).integers(0, 5, (4, 20)).astype(np.float32)
    np.testing.assert_array_equal(nearest(distances, top), np.argsort(distances, axis=1, kind="stable")[:, :top])


def test_search_returns_indices_and_distances_in_order() -> None:
    query, gallery = whole_numbers(0, 5), whole_numbers(1, 30)
    indices, distances = search(query, gallery, top=7)
    matrix = distance_matrix(query, gallery)
    np.testing.assert_array_equal(indices, np.argsort(matrix, axis=1, kind="stable")[:, :7])
    np.testing.assert_array_equal(distances, np.take_along_axis(matrix, indices, axis=1))
    assert (indices.dtype, distances.dtype) == (np.int64, np.float32)
    assert search(query, gallery, top=99)[0].shape == (5, 30)


@given(st.integers(0, 1000), st.integers(0, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_a_crop_nearer_to_an_unwanted_person_is_as_much_farther_away(seed: int, unwanted: int, grouped: bool) -> None:
    rng = np.random.default_rng(seed)
    query, gallery, negatives = (
        Embedding(rng.normal(size=(n, 1, 3)).astype(np.float32), np.ones((n, 1), np.float32), metric="euclidean")
        for n in (4, 9, unwanted)
    )
    wanted, others = distance_matrix(query, gallery), distance_matrix(negatives, gallery)
    if grouped:
        wanted = np.stack([wanted[:3].mean(axis=0), wanted[3]])
    expected = [
        [d + max(0, d - min((row[j] for row in others), default=np.inf)) for j, d in enumerate(distances)]
        for distances in wanted.tolist()
    ]
    indices, distances = search(query, gallery, top=5, groups=[2, 2, 2, 7] if grouped else None, negatives=negatives)
    np.testing.assert_array_equal(indices, np.argsort(expected, axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :5], atol=1e-6)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_crops_of_one_group_are_one_query(groups: list[int], rows: int) -> None:
    rng = np.random.default_rng(len(groups))
    query, gallery = (
        Embedding(rng.normal(size=(n, 1, 3)).astype(np.float32), np.ones((n, 1), np.float32), metric="euclidean")
        for n in (len(groups), 9)
    )
    matrix = distance_matrix(query, gallery)
    merged = np.stack([matrix[np.array(groups) == g].mean(axis=0) for g in sorted(set(groups))])
    with pytest.MonkeyPatch.context() as patch:
        for cutting in (module, distances_module):
            patch.setattr(cutting, "block_slices", lambda q, g, **_: block_slices(q, g, limit=4 * g * rows))
        indices, distances = search(query, gallery, top=4, groups=groups)
    np.testing.assert_array_equal(indices, np.argsort(merged, axis=1, kind="stable")[:, :4])
    np.testing.assert_allclose(distances, np.sort(merged, axis=1)[:, :4], atol=1e-6)


def test_bad_requests_are_refused() -> None:
    crops = whole_numbers(0, 3)
    with pytest.raises(ValueError, match="top 0"):
        search(crops, crops, top=0)
    with pytest.raises(ValueError, match="0 crops"):
        search(crops, crops.select(slice(0)), top=1)
    with pytest.raises(ValueError, match=r"expected \(3,\), got \(2,\)"):
        search(crops, crops, top=1, groups=[0, 1])
    assert search(crops.select(slice(0)), crops, top=2)[0].shape == (0, 2)
